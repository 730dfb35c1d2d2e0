"""Engines: the same weights wherever they are trained, whatever is lost on the way."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from privaudit.audit.plan import plan_audit
from privaudit.config import read_settings
from privaudit.engines import local
from privaudit.engines.base import Engine, Report, run_jobs
from privaudit.engines.choice import choose_engine
from privaudit.engines.ray import RayEngine, _Common, _tokens, connect
from privaudit.errors import PrivauditError, UsageError
from privaudit.runtime import files
from privaudit.runtime.progress import Progress
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import query_job
from privaudit.training.hardware import Hardware, resolve_hardware
from tests.conftest import ROOT, SMALL, Run
from tests.ray_cluster import Cluster, cluster
from tests.test_store import audit_folder, members_of, weights


def write_square(job: int, folder: Path, report: Report) -> None:
    (folder / str(job)).write_text(str(job * job))
    report(1.0)


@pytest.mark.parametrize("workers", [1, 2])
def test_local_runs_every_job_and_counts_them(tmp_path: Path, workers: int) -> None:
    bar = Progress("squares", 5)
    run_jobs(write_square, range(5), tmp_path, local.LocalEngine(workers), bar)
    assert sorted(int(path.read_text()) for path in tmp_path.iterdir()) == [0, 1, 4, 9, 16]
    assert bar.done == 5


def choose(name: str = "local", device: str = "cpu", workers: int | None = None, share: float = 1.0) -> Engine:
    return choose_engine(name, device=device, workers=workers, address="a:1", gpu_share=share, folders=[Path("s")])


def leave_a_note(job: int, shared: None, report: Report) -> None:
    Path(f"note-{job}").touch()


def test_jobs_go_where_whoever_asks_has_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are kept from call to call; a relative path means the same to them all the same."""
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        run_jobs(leave_a_note, [0, 1, 2], None, local.LocalEngine(2), Progress("jobs", 3))
        assert sorted(path.name for path in folder.iterdir()) == ["note-0", "note-1", "note-2"]


def test_engines_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert choose(workers=3) == local.LocalEngine(3, 0)
    monkeypatch.setattr(local, "processes_a_card", len)
    assert choose(device="cuda") == local.LocalEngine(16, 4)
    assert choose(device="cuda", workers=8) == local.LocalEngine(8, 4)  # two models at a time on each GPU
    assert choose("ray", share=0.25) == RayEngine("a:1", None, 0.0, (Path("s"),))
    assert choose("ray", "cuda", share=0.25) == RayEngine("a:1", None, 0.25, (Path("s"),))


def test_processes_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    taken: list[int] = []
    monkeypatch.setattr("torch.cuda.set_device", taken.append)
    for _ in range(4):
        local._turn.cache_clear()  # another process
        local._take_gpu(str(tmp_path), range(3))
        local._take_gpu(str(tmp_path), range(3))  # its next job stays where it is
    assert taken == [0, 0, 1, 1, 2, 2, 0, 0]


def test_one_card_by_its_number_is_the_only_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Jobs and this process take it; the audit stays that of any card."""
    taken: list[int] = []
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr("torch.cuda.set_device", taken.append)
    monkeypatch.setattr(local, "processes_a_card", lambda cards: 3 if list(cards) == [2] else 0)
    hardware = resolve_hardware("cuda:2", "bf16")
    assert (hardware, hardware.card, taken) == (Hardware("cuda", "bf16"), 2, [2])
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
    engine = local.LocalEngine.of("cuda", None, hardware.card)
    assert engine == local.LocalEngine(3, 1, 2)
    local._turn.cache_clear()
    local._take_gpu(str(tmp_path), range(engine.first, engine.first + engine.gpus))
    assert taken == [2, 2]
    with pytest.raises(UsageError, match="--device cuda:4: torch sees 4 CUDA devices here"):
        resolve_hardware("cuda:4", "bf16")
    with pytest.raises(UsageError, match="Ray itself gives each task its GPU"):
        choose_engine("ray", device="cuda", workers=None, address="a:1", gpu_share=1.0, folders=[], card=2)


@pytest.mark.parametrize(
    ("cores", "gigabytes", "cards", "processes"), [(16, 78, 1, 4), (2, 78, 1, 2), (16, 78, 8, 2), (16, 23, 1, 1)]
)
def test_as_many_processes_share_a_card_as_cores_and_memory_carry(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: int, cards: int, processes: int
) -> None:
    monkeypatch.setattr(local, "available_cores", lambda: cores)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda card: (gigabytes << 30, 80 << 30))
    assert local.processes_a_card(range(cards)) == processes


@pytest.mark.parametrize("device", ["cuda:", "cuda:x", "cuda:-1", "gpu", "cpu:0"])
def test_devices_that_there_are_none_of_are_told(device: str) -> None:
    with pytest.raises(UsageError, match="device = "):
        read_settings({"device": device}, None)


def test_ray_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'privaudit\[ray\]'"):
        connect(None, None)


def test_mistakes_with_a_cluster_are_told(privaudit: Run) -> None:
    done = privaudit("score", "--engine", "ray", "--address", "ray://localhost:10001", "--dry-run")
    assert done.returncode == 2
    assert "Ray Client is not supported" in done.stderr
    done = privaudit("score", "--engine", "ray", "--address", "127.0.0.1:1", "--dry-run")
    assert done.returncode == 1
    assert "nobody listens at --address 127.0.0.1:1" in done.stderr
    done = privaudit("score", "--address", "localhost:6379", "--dry-run")
    assert done.returncode == 2
    assert "Add --engine ray" in done.stderr


def test_a_node_that_lacks_the_store_or_the_versions_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with _tokens([Path("store"), tmp_path / "out"]) as tokens:
        common = _Common(write_square, None, tokens).of_this_process()
        monkeypatch.chdir("/")
        common.check()
        assert Path.cwd() == tmp_path
        tokens[0].unlink()
        with pytest.raises(PrivauditError, match=f"does not see {tmp_path / 'store'}"):
            common.check()
        other = _Common(write_square, None, (), common.folder, ("0", *common.versions[1:]))
        with pytest.raises(PrivauditError, match=r"has privaudit .*, where this process has 0"):
            other.check()
    assert not [*(tmp_path / "store").iterdir(), *(tmp_path / "out").iterdir()]


def test_a_query_that_was_cut_short_is_made_anew(small_audit: dict[str, Any], tmp_path: Path) -> None:
    """Asking a model again first takes its record away: whoever retries finds a model without one."""
    shutil.copytree(small_audit["root"] / "store", tmp_path / "store")
    flags = {"dataset": str(small_audit["npz"]), "shadows": 8, "epochs": 30, "seed": 3, "store": tmp_path / "store"}
    plan = plan_audit(read_settings(flags, None))
    assert plan.name == small_audit["results"]["audit"]
    job = plan.jobs(plan.design(8))[3]
    files.remove(plan.store.record(job.key))
    plan.store.signals(job.key).write_bytes(b"half")
    query_job(job, plan.arrays, lambda _: None)
    assert plan.store.is_finished(job.key)
    assert weights(plan.store.folder) == weights(audit_folder(small_audit))


WAITING = """
import sys, time
from privaudit.engines import local
from privaudit.engines.base import run_jobs
from privaudit.runtime.progress import Progress
from tests.test_engines import write_square

class Waits:
    def __reduce__(self):
        return time.sleep, (600,)

run_jobs(write_square, [Waits()] * 4, None, local.LocalEngine(2), Progress("jobs", 4))
"""


def test_workers_that_have_had_no_job_yet_end_with_their_parent() -> None:
    """SIGKILL to the parent alone, while its workers are there and the first job has not reached them."""
    process = subprocess.Popen([sys.executable, "-c", WAITING], start_new_session=True, cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(workers_of(process.pid)) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while left := members_of(process.pid):
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.1)


def workers_of(group: int) -> list[int]:
    found = []
    for member in members_of(group):
        with suppress(OSError):
            if b"loky.backend.popen" in Path(f"/proc/{member}/cmdline").read_bytes():
                found.append(member)
    return found


LOCAL_RAY = """
import sys
from pathlib import Path
from privaudit.engines.ray import connect
from tests.test_engines import listening, mode_of
from tests.ray_cluster import descendants
import os

ray = connect(None, 1)
assert ray.get(ray.remote(lambda: 2).remote()) == 2
from ray._private.worker import global_worker
folder = Path(global_worker.node.get_temp_dir_path())
print(*sorted(listening([os.getpid(), *descendants(os.getpid())])))
print(folder)
print(mode_of(folder.parent) & 0o077)
"""


def listening(processes: list[int]) -> set[str]:
    """Addresses, in hexadecimal as Linux tells them, on which any of the processes waits for connections."""
    sockets = set()
    for process in processes:
        for descriptor in Path(f"/proc/{process}/fd").glob("*"):
            with suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(fields[1].partition(":")[0])
    return found


def mode_of(path: Path) -> int:
    return path.stat().st_mode


@pytest.mark.slow
def test_a_ray_of_our_own_is_reached_by_nobody_else() -> None:
    """It listens on loopback addresses alone, in a folder that only its owner enters and that goes with it."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'privaudit[ray]'")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", LOCAL_RAY], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    addresses, folder, open_to_others = done.stdout.splitlines()
    assert addresses
    assert set(addresses.split()) <= {"0100007F", "0" * 16 + "FFFF00000100007F", "0" * 24 + "01000000"}
    assert open_to_others == "0"
    assert not Path(folder).parent.exists()


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Cluster]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed: pip install 'privaudit[ray]'")
    with cluster() as started:
        yield started


DRIVER = """
import sys
from pathlib import Path
from privaudit.config import read_settings
from privaudit.engines.base import run_jobs
from privaudit.runtime.progress import progress
from privaudit.audit.plan import plan_audit
from tests.ray_cluster import train_unless_victim

dataset, address, store = sys.argv[1:]
settings = {"dataset": dataset, "shadows": 8, "epochs": 30, "seed": 3, "engine": "ray", "address": address}
plan = plan_audit(read_settings(settings | {"store": Path(store), "out": Path(store) / "out"}, None))
jobs = plan.jobs(plan.design(plan.shadows))
with progress("training", 9.0) as bar:
    run_jobs(train_unless_victim, jobs, plan.arrays, plan.engine, bar)
"""


def test_a_node_is_killed_and_the_weights_are_the_same(
    ray_cluster: Cluster, small_audit: dict[str, Any], tmp_path: Path
) -> None:
    """The second node is killed while it is in the middle of a model: that one is trained elsewhere, to the bit."""
    victim = ray_cluster.add_victim()
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, small_audit["npz"], ray_cluster.address, tmp_path],
        env=os.environ | ray_cluster.environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 1200
    while not ray_cluster.marker.exists() or not ray_cluster.marker.read_text():
        assert driver.poll() is None, driver.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    stuck = ray_cluster.marker.read_text()
    victim.kill()
    _, said = driver.communicate(timeout=1200)
    assert driver.returncode == 0, said
    assert "1 started again elsewhere" in said
    name = small_audit["results"]["audit"]
    assert AuditStore(tmp_path, name).is_finished(stuck)
    trained, expected = weights(tmp_path / name), weights(audit_folder(small_audit))
    assert trained == {path: bits for path, bits in expected.items() if path != "design.npy"}


def on_cluster(ray_cluster: Cluster, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "privaudit", *map(str, arguments), "--engine", "ray"]
    return subprocess.Popen(
        [*command, "--address", ray_cluster.address],
        env=os.environ | ray_cluster.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_job_behind_and_the_rest_is_the_same(
    ray_cluster: Cluster, small_audit: dict[str, Any], tmp_path: Path, number: signal.Signals
) -> None:
    """Interrupt a run on the cluster, see its workers go, and let the same command end it."""
    command = ["score", "--dataset", small_audit["npz"], *SMALL, "--store", tmp_path / "s", "--out", tmp_path / "o"]
    process = on_cluster(ray_cluster, *command)
    deadline = time.monotonic() + 1200
    while not ray_cluster.jobs_at_work():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=1200)
    assert process.returncode == 130, said
    assert "the same command carries on" in said
    deadline = time.monotonic() + 60
    while ray_cluster.jobs_at_work():
        assert time.monotonic() < deadline, "jobs outlive who asked for them"
        time.sleep(0.1)
    if number is signal.SIGTERM:
        return
    again = on_cluster(ray_cluster, *command, "--json")
    out, said = again.communicate(timeout=1200)
    assert again.returncode == 0, said
    results = json.loads(out)
    assert results["attacks"] == small_audit["results"]["attacks"]
    assert weights(tmp_path / "s" / results["audit"]) == weights(audit_folder(small_audit))
    assert not [path.name for path in (tmp_path / "s").iterdir() if path.name.startswith(".privaudit")]
