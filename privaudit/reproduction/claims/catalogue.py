"""The paper's eleven tables and figures, and one table of our own: claims, what is run, and what decides."""

from __future__ import annotations

from privaudit.reproduction.claims.experiment import (
    ALL,
    ATTACKED,
    CLASSES,
    INVERTIBLE,
    LEAST_ATTACKED,
    LEAST_INVERTIBLE,
    ONE_SHOT,
    RANDOM,
    TENTH,
    Contrast,
    Experiment,
    Side,
)
from privaudit.trials.order_comparison import DO_NOTHING

APPROXIMATE = ("ga", "rl", "ft", "bad-teacher", "l1-sparse")
STAGED = ("ga", "rl", "bad-teacher")
ARMS = (
    ONE_SHOT, "RSU as written", "one-shot, longer", "one-shot, tuned", "random groups", "reverse", "RSU",
)  # fmt: skip

_GAP = "the paper's MIA gap, from the original model"


def _forgetting(name: str, title: str, high: str, low: str, who: str, *, inversion: bool) -> Experiment:
    methods = (*APPROXIMATE, "retrain")
    return Experiment(
        name,
        title,
        f"{who} are forgotten more readily than random ones: after unlearning, accuracy on them is lower.",
        as_in_paper=Contrast(
            "forget", f"how much lower accuracy on D_u is for the {high}", Side(RANDOM), Side(high), methods, 0.02
        ),
        controlled=Contrast(
            "forget_gap",
            f"how much closer to a retrained model's the accuracy on D_u is for the {high}",
            Side(low),
            Side(high),
            APPROXIMATE,
            0.02,
        ),
        protocol="The 100 (at most a tenth of the pool) highest against as many at random, six methods with default "
        "parameters, accuracy on D_u.",
        control="The highest against the lowest of the same classes, and accuracy on D_u held against a model that was "
        "retrained without that very group: a group on which retraining itself changes more must not count as easier "
        "for that. Retraining is the reference, so five methods. It leans against the claim: before anything is "
        "unlearned the highest are furthest from that model and the lowest often there already, so that a method that "
        "does nothing counts against the highest. How far the methods moved either group, from where doing nothing "
        "leaves it on the same runs, stands beside it; that was added after the runs and decides nothing.",
        secondary=(
            Contrast("gap_change", f"how much more of that distance was closed for the {high}, against doing nothing "
                     "on the same runs", Side(high), Side(low), APPROXIMATE),
            Contrast("gap_closed", f"share of the way from doing nothing to a retrained model that was closed for the "
                     f"{high}", Side(high), None, APPROXIMATE),
            Contrast("mia_gap_to_original", f"how much larger {_GAP}, is", Side(high), Side(RANDOM), methods, 0.02),
            Contrast("forget", "how much lower accuracy on D_u is than for the lowest", Side(low), Side(high), methods),
            Contrast("jensen_shannon", "how much closer its predictions on D_u are to a retrained model's",
                     Side(low), Side(high), APPROXIMATE),
            Contrast("tow", "how much higher ToW is", Side(high), Side(low), APPROXIMATE),
            Contrast("forget_gap", f"how much closer accuracy on D_u is for the {high} where nothing is unlearned",
                     Side(low, DO_NOTHING), Side(high, DO_NOTHING)),
        ),
        sets=(high, RANDOM, low),
        methods=APPROXIMATE,
        relearn=True,
        needs_inversion=inversion,
    )  # fmt: skip


def _relearning(name: str, title: str, high: str, low: str, who: str, *, inversion: bool) -> Experiment:
    methods = (*APPROXIMATE, "retrain")
    return Experiment(
        name,
        title,
        f"{who} take longer to be learned again after unlearning than random ones.",
        as_in_paper=Contrast(
            "log_relearn", "how much longer relearning takes (natural logarithm of steps)", Side(high), Side(RANDOM),
            methods, 0.1,
        ),
        controlled=Contrast(
            "log_relearn_ratio",
            "how much longer relearning takes, in units of what a retrained model takes (natural logarithm)",
            Side(high), Side(low), APPROXIMATE, 0.1,
        ),
        protocol="Steps of SGD on D_u until its loss is what it was under the original model (or .05), the highest "
        "against random samples, six methods.",
        control="The same over what a model retrained without the group takes, against the lowest of the same classes: "
        "samples that are slow to learn at all must not count as better forgotten. Fewer than five steps count as two "
        "and a half, and the lowest often need none.",
        secondary=(
            Contrast("log_relearn_ratio", f"the same for the {high} alone: above 0, longer than where they were never "
                     "seen (natural logarithm)", Side(high), None, APPROXIMATE),
        ),
        sets=(high, RANDOM, low),
        methods=APPROXIMATE,
        relearn=True,
        needs_inversion=inversion,
    )  # fmt: skip


def _sequence(name: str, title: str, forget: str, what: str) -> Experiment:
    return Experiment(
        name,
        title,
        f"Unlearning {what} in RSU's order, hard to easy, raises ToW for gradient ascent, random labels and Bad-T.",
        as_in_paper=Contrast(
            "tow", "how much ToW rises from the one-shot run to RSU", Side(forget, "RSU as written"), Side(forget),
            STAGED,
        ),
        controlled=Contrast(
            "tow", "how much ToW rises from random groups to RSU", Side(forget, "RSU"), Side(forget, "random groups"),
            STAGED,
        ),
        protocol="Default parameters. Nested groups by rising loss, the method's passes at every stage, against one "
        "shot: three times the gradients on D_u, as Algorithm 1 reads.",
        control="Every arm has the same budget of gradients on D_u and was tuned with the same number of trials on "
        "another seed's models and forget set, scored on validation. Groups by rising LiRA risk against random groups: "
        "what the order does is left, and the luck of each arm's tuning, which intervals over seeds do not hold.",
        secondary=(
            Contrast("tow", "RSU over the tuned one-shot run", Side(forget, "RSU"), Side(forget, "one-shot, tuned"),
                     STAGED),
            Contrast("tow", "RSU over the reverse order", Side(forget, "RSU"), Side(forget, "reverse"), STAGED),
            Contrast("tow", "RSU as written over one shot at its own budget", Side(forget, "RSU as written"),
                     Side(forget, "one-shot, longer"), STAGED),
            Contrast("tow", "RSU over doing nothing", Side(forget, "RSU"), Side(forget, "do-nothing"), STAGED),
            Contrast("forget", "how much higher accuracy on D_u is under RSU as written than after one shot",
                     Side(forget, "RSU as written"), Side(forget), STAGED),
        ),
        sets=(forget,),
        methods=STAGED,
        arms=ARMS,
    )  # fmt: skip


_INVERTED = "Samples that are easily inverted from gradients"
_LEAKED = "Samples with a high LiRA attack success rate"

EXPERIMENTS = (
    Experiment(
        "figure1",
        "Figure 1",
        "Under the same attack some samples are inverted from their gradients and others are not, and it depends on "
        "the sample.",
        as_in_paper=Contrast("recovered", "share of random samples that are recovered", Side(RANDOM), None, (), 0.05),
        controlled=Contrast(
            "reliability", "Spearman's ρ of reconstruction quality between two models", Side(RANDOM), None, (), 0.1
        ),
        protocol="Gradient matching of ten samples; here of the audit's random group, the share that is recovered.",
        control="The ranking must be the sample's: two models have to agree on who is easily inverted.",
        needs_inversion=True,
    ),
    _forgetting("table1", "Table 1", INVERTIBLE, LEAST_INVERTIBLE, _INVERTED, inversion=True),
    _forgetting("table2", "Table 2", ATTACKED, LEAST_ATTACKED, _LEAKED, inversion=False),
    Experiment(
        "figure2",
        "Figure 2",
        "Samples that are easily inverted have a higher attack success rate than random ones.",
        as_in_paper=Contrast("asr", "how much higher ASR is", Side(INVERTIBLE), Side(RANDOM), (), 0.02),
        controlled=Contrast("asr", "how much higher ASR is", Side(INVERTIBLE), Side(LEAST_INVERTIBLE), (), 0.02),
        protocol="The most invertible against random samples.",
        control="Against the least invertible of the same classes, so that classes are not what is compared. ASR is "
        "measured by other shadow models than those that were inverted, in both.",
        secondary=(
            Contrast("entropy", "how much higher the entropy of the most invertible is (nats)", Side(INVERTIBLE),
                     Side(RANDOM)),
            Contrast("entropy", "how much higher the entropy of those with the highest ASR is (nats)", Side(ATTACKED),
                     Side(RANDOM)),
        ),
        needs_inversion=True,
    ),
    Experiment(
        "table3",
        "Table 3",
        "The true-label confidence of easily inverted samples lies in the bottom 20% of their class.",
        as_in_paper=Contrast("tail", "how much larger the share in the bottom 20% is than among random samples",
                             Side(INVERTIBLE), Side(RANDOM), (), 0.02),
        controlled=Contrast("tail", "how much larger the share in the bottom 20% is than among the least invertible of "
                            "the same classes", Side(INVERTIBLE), Side(LEAST_INVERTIBLE), (), 0.02),
        protocol="The most invertible against random samples.",
        control="Against the least invertible of the same classes.",
        secondary=(
            Contrast("tail", "the same for the highest ASR against random samples", Side(ATTACKED), Side(RANDOM)),
            Contrast("tail", "the same for the highest ASR against the lowest of the same classes", Side(ATTACKED),
                     Side(LEAST_ATTACKED)),
        ),
        needs_inversion=True,
    ),
    _relearning("figure3", "Figure 3", INVERTIBLE, LEAST_INVERTIBLE, _INVERTED, inversion=True),
    _relearning("figure4", "Figure 4", ATTACKED, LEAST_ATTACKED, _LEAKED, inversion=False),
    Experiment(
        "figure5",
        "Figure 5",
        "A sample's loss and its attack success rate rise together, so that loss can stand in for privacy risk.",
        as_in_paper=Contrast("interval_correlation", "Spearman's ρ of mean loss and mean ASR over ten intervals",
                             Side(ALL), None, (), 0.1),
        controlled=Contrast("excess_correlation", "Spearman's ρ of loss and ASR over samples, less ½: what a stand-in "
                            "would need", Side(ALL), None, (), 0.0),
        protocol="Ten intervals of loss with as many samples each.",
        control="Sample by sample, as RSU uses it: a rank correlation of at least ½.",
        secondary=(
            Contrast("correlation", "Spearman's ρ of loss and ASR over samples", Side(ALL), None),
            Contrast("corrected_correlation", "the same over the root of ASR's reliability: without the noise of the "
                     "shadow models", Side(ALL), None),
        ),
    ),
    _sequence("table5", "Table 5", CLASSES, "whole classes (a tenth of them)"),
    _sequence("table6", "Table 6", TENTH, "a random tenth of the data"),
    Experiment(
        "figure7",
        "Figure 7",
        "For gradient ascent on whole classes RSU's order is better than one shot.",
        as_in_paper=Contrast("tow", "how much ToW rises from the one-shot run to RSU", Side(CLASSES, "RSU as written"),
                             Side(CLASSES), ("ga",)),
        controlled=Contrast("tow", "how much ToW rises from random groups to RSU", Side(CLASSES, "RSU"),
                            Side(CLASSES, "random groups"), ("ga",)),
        protocol="Gradient ascent with default parameters: one shot, rising loss, falling loss.",
        control="At one budget of gradients, each arm tuned on another seed, against random groups.",
        secondary=(
            Contrast("tow", "RSU as written over the reverse order", Side(CLASSES, "RSU as written"),
                     Side(CLASSES, "reverse as written"), ("ga",)),
            Contrast("tow", "one shot over the reverse order", Side(CLASSES), Side(CLASSES, "reverse as written"),
                     ("ga",)),
            Contrast("tow", "RSU over the reverse order, tuned", Side(CLASSES, "RSU"), Side(CLASSES, "reverse"),
                     ("ga",)),
            Contrast("tow", "RSU over the one-shot run, tuned", Side(CLASSES, "RSU"), Side(CLASSES, "one-shot, tuned"),
                     ("ga",)),
        ),
        sets=(CLASSES,),
        methods=("ga",),
        arms=(*ARMS, "reverse as written"),
    ),
)  # fmt: skip

#: Not of the paper: every method that this tool has, in every order, with the parameters of its tuned one-shot run.
METHODS = Experiment(
    "methods",
    "Every method",
    "",
    as_in_paper=None,
    controlled=None,
    protocol="Descriptive: every method that is handed forget samples in four orders, the others once, beside doing "
    "nothing and a second retrained model (the noise floor). Each was tuned in its one-shot form with the same number "
    "of trials on another seed's models and forget set, scored on validation.",
    control="",
    sets=(TENTH, CLASSES),
    methods=("ga", "rl", "bad-teacher", "neggrad-plus", "scrub", "salun", "shadow-teacher", "ft", "l1-sparse", "ssd"),
    arms=("at once", "risk", "risk descending", "random order"),
    relearn=True,
)

BY_NAME = {experiment.name: experiment for experiment in (*EXPERIMENTS, METHODS)}
