"""An export serves its model without privaudit, says how it came about, and is refused where it must be."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import privaudit
from privaudit.audit.plan import AuditPlan
from privaudit.deployment.plain_code import network_code, standing_alone
from privaudit.errors import DataError, UnlearningRejected, UsageError
from privaudit.networks import NETWORKS
from privaudit.runtime import files
from privaudit.shadow.store import shadow_key
from tests.conftest import save_noisy_images
from tests.test_load_model import OWN, small_plan, table_plan, trained, unlearned  # noqa: F401 - a fixture

#: Loads exports without privaudit, and writes what each says of its inputs.
SERVE = """
import runpy, sys
sys.modules["privaudit"] = None
import json, os, numpy, torch
for folder in sys.argv[1:]:
    model = runpy.run_path(folder + "/load.py")["load"]()
    assert not model.training
    rows = folder + "-inputs.json"
    inputs = json.load(open(rows)) if os.path.exists(rows) else numpy.load(folder + "-inputs.npy")
    with torch.inference_mode():
        numpy.save(folder + ".npy", model(inputs).numpy())
    print(model.classes)
"""


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS.is_ours(name)])
def test_the_source_of_our_networks_stands_alone(name: str, tmp_path: Path) -> None:
    """It names nothing of privaudit, and builds a network of the same tensors."""
    shape = (7,) if name == "mlp" else (32, 32, 3)
    source = standing_alone(name, f"{shape}, 5")
    assert "import privaudit" not in source
    assert "from privaudit" not in source
    namespace: dict[str, Any] = {"__name__": "network"}
    exec(compile(source, "network.py", "exec"), namespace)  # noqa: S102 - our own source
    with torch.device("meta"):
        alone, ours = namespace["build"]().state_dict(), NETWORKS.load(name)(shape, 5).state_dict()
    assert {key: tensor.shape for key, tensor in alone.items()} == {key: tensor.shape for key, tensor in ours.items()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[AuditPlan, Path]]:
    """A target of each kind and its export; beside that, what it is to be asked."""
    found = {}
    for name in ("cnn", "colour", "features", "own", "table"):
        folder = tmp_path_factory.mktemp(name)
        plan, rows = table_plan(folder) if name == "table" else (small_plan(name, folder), None)
        done = privaudit.export(plan.store.folder, out=folder / "served")
        assert Path(done.folder) == folder / "served"
        if rows is None:
            np.save(folder / "served-inputs.npy", plan.data.x_train[:20])
        else:
            rows.head(20).to_json(folder / "served-inputs.json", orient="records")
        found[name] = (plan, folder / "served")
    return found


def test_its_loader_answers_as_the_package_does_and_needs_no_privaudit(
    exported: dict[str, tuple[AuditPlan, Path]],
) -> None:
    folders = [str(folder) for _, folder in exported.values()]
    own = exported["own"][0].store.root.parent / "own.py"
    own.rename(own.with_name("gone.py"))  # its copy in the export is enough
    done = subprocess.run(
        [sys.executable, "-I", "-c", SERVE, *folders], capture_output=True, text=True, check=False, timeout=300
    )
    own.with_name("gone.py").rename(own)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "['0', '1', '2']"
    for plan, folder in exported.values():
        with torch.inference_mode():
            expected = privaudit.load_model(plan.store.folder)(plan.data.x_train[:20]).numpy()
        np.testing.assert_allclose(np.load(f"{folder}.npy"), expected, rtol=1e-4, atol=1e-4)


def test_every_file_of_it_is_listed_with_its_checksum(exported: dict[str, tuple[AuditPlan, Path]]) -> None:
    for name, (plan, folder) in exported.items():
        lines = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
        sums = {line[66:]: line[:64] for line in lines}
        assert set(sums) | {"SHA256SUMS"} == {path.name for path in folder.iterdir()}
        for file, digest in sums.items():
            assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
        about = json.loads((folder / "model.json").read_text("utf-8"))
        assert (about["audit"], about["run"], about["weights_sha256"]) == (plan.name, None, sums["model.safetensors"])
        assert about["sha256"] == files.sha256_of(plan.store.model("target"))
        code = folder / ("own.py" if name == "own" else "network.py")
        assert (code.read_text("utf-8") == OWN) == (name == "own")
        assert sum(bool(line.strip()) for line in (folder / "load.py").read_text("utf-8").splitlines()) < 35
        readme = (folder / "README.txt").read_text("utf-8")
        for said in (plan.name, plan.data.fingerprint, sums["model.safetensors"], "nothing was", "No proof of privacy"):
            assert said in readme


def test_the_same_export_again_is_the_same_and_nothing_else_is_overwritten(tmp_path: Path) -> None:
    plan = small_plan("features", tmp_path)
    folder = tmp_path / "served"
    privaudit.export(plan.store.folder, out=folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "__pycache__").mkdir()
    privaudit.export(plan.store.folder, out=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    (folder / "app.py").write_text("mine")
    with pytest.raises(UsageError, match=r"holds app\.py: an export is put into a folder of its own"):
        privaudit.export(plan.store.folder, out=folder)
    assert (folder / "app.py").read_text() == "mine"
    with pytest.raises(DataError, match="an exported model: it is loaded without privaudit"):
        privaudit.load_model(folder / "model.safetensors")


def test_a_network_in_a_file_called_like_the_loader_gets_another_name(tmp_path: Path) -> None:
    (tmp_path / "load.py").write_text(OWN, "utf-8")
    code = network_code(f"{tmp_path / 'load.py'}:network", (8, 8, 1), 3)
    assert code.build == 'runpy.run_path(str(HERE / "network.py"))["network"]((8, 8, 1), 3)'
    assert code.files is not None
    assert code.files["network.py"][0] == OWN.encode()
    module = network_code("privaudit.networks.mlp:build_mlp", (7,), 3)
    assert module.build == 'importlib.import_module("privaudit.networks.mlp").build_mlp((7,), 3)'
    assert (module.needs, module.files) == (("privaudit",), None)


def test_a_shadow_model_is_not_exported(tmp_path: Path) -> None:
    plan = small_plan("features", tmp_path)
    with pytest.raises(UsageError, match="is not to be deployed: a shadow model"):
        privaudit.export(plan.store.model(shadow_key(3)), out=tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_an_export_that_answers_otherwise_is_not_kept(tmp_path: Path) -> None:
    """A network that takes something from the file's own name, say."""
    own = OWN.replace("2 * self.head", "(2 if 'privaudit_user' in __name__ else 3) * self.head")
    (tmp_path / "odd.py").write_text(own, "utf-8")
    save_noisy_images(tmp_path / "data.npz")
    plan = trained(tmp_path, dataset=str(tmp_path / "data.npz"), network=f"{tmp_path / 'odd.py'}:network")
    with pytest.raises(privaudit.PrivauditError, match=r"answers otherwise than target\.safetensors"):
        privaudit.export(plan.store.folder, out=tmp_path / "served")
    assert list((tmp_path / "served").iterdir()) == []


def test_an_unlearned_model_is_exported_with_its_outcome_and_a_rejected_one_is_not(
    unlearned: dict[str, Any],  # noqa: F811
) -> None:
    """What results lie in gets a folder ``exports``."""
    root, exact, nothing = unlearned["root"], unlearned["exact"], unlearned["nothing"]
    done = privaudit.export(exact["run"], **unlearned["places"])
    folder = root / "out" / "exports" / exact["run"]
    assert (Path(done.folder), done.outcome, done.deployable) == (folder, "exact", True)
    record = files.sha256_of(Path(exact["folder"]) / "record.json")
    assert done.record_sha256 == record
    readme = (folder / "README.txt").read_text("utf-8")
    assert "Exact: the model was retrained without the 12 samples" in readme.replace("\n", " ")
    assert record in readme
    text = [path.read_text("utf-8") for path in folder.iterdir() if path.suffix != ".safetensors"]
    assert not any("sample_id" in part for part in text)
    with pytest.raises(
        UnlearningRejected, match=r"was rejected, its outcome is unchanged[\s\S]*--method retrain"
    ) as no:
        privaudit.export(nothing["run"], **unlearned["places"])
    assert no.value.exit_code == 3
    assert not (root / "out" / "exports" / nothing["run"]).exists()
    purged = privaudit.purge(forget="random:3", dry_run=True, **unlearned["places"])
    (named,) = [entry for entry in purged["unknown"] if "exports" in entry["file"]]
    assert named["file"] == str(folder / "model.safetensors")
    assert "a copy of one of this audit's, perhaps in use" in named["why"]
    shutil.rmtree(root / "out" / "exports")


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from privaudit.cli.commands.export import command

    plan = small_plan("features", tmp_path)
    flags = [plan.name, "--store", str(plan.store.root), "--out", str(tmp_path / "served")]
    command.main(flags, standalone_mode=False)
    assert f"loader: {tmp_path / 'served'}/load.py, which needs torch, safetensors" in capsys.readouterr().out
    command.main([*flags, "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)
    assert (told["audit"], told["run"], told["folder"]) == (plan.name, None, str(tmp_path / "served"))
    assert set(told["files"]) == {path.name for path in (tmp_path / "served").iterdir()}
