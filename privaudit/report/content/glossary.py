"""The words of the field in plain language, and where the methods come from."""

from __future__ import annotations

from privaudit.report.content.elements import Term

GLOSSARY = [
    Term("AUC", "How often a randomly chosen member gets a higher score than a randomly chosen non-member: ½ is "
         "guessing, 1 is certainty. It averages over all false alarm rates, so it says little of the most exposed."),
    Term("Attack success rate (ASR), risk", "Of one sample: the share of the shadow models in which the attack tells "
         "rightly whether the sample was trained on. One half is guessing."),
    Term("Complementary pair", "Two shadow models that split the data between them: each sample is in exactly one of "
         "the two halves."),
    Term("Control", "An experiment with a known answer. A negative control must find nothing, a positive one must "
         "find something."),
    Term("Difficulty: fidelity", "How far the unlearned model is from a reference that never saw the sample. Small is "
         "good."),
    Term("Difficulty: forgettability", "How far unlearning moved the model's margin on the sample. Large means that "
         "the sample moved easily."),
    Term("Difficulty: intrinsic shift", "How far the margin must move: that of a model that saw the sample less that "
         "of a reference that did not."),
    Term("False alarm rate (FPR)", "The share of non-members that an attacker wrongly calls members."),
    Term("Forget set, retain set", "The training samples that a model is asked to forget, and all the others."),
    Term("Interval (95%)", "A range made by a rule that holds the true value in 95 of 100 repetitions. Two estimates "
         "whose intervals overlap widely are not told apart."),
    Term("LiRA", "The likelihood ratio attack: is what the model says of a sample more like models that saw it, or "
         "more like models that did not?"),
    Term("Margin", "The logit of the true class less the largest other one: positive where the model is right, large "
         "where it is sure."),
    Term("Member", "A sample that the model in question was trained on."),
    Term("Members found (TPR)", "The share of members that an attacker rightly names."),
    Term("Separation", "The accuracy of the best guess between the two bell curves fitted to models that saw the "
         "sample and models that did not."),
    Term("Shadow model", "A model trained like the audited one on a known random half of the data."),
    Term("Spearman's correlation", "Whether two rankings agree: +1 is the same order, 0 no relation, −1 the reverse."),
    Term("Target model", "The audited model itself."),
    Term("Tug of war (ToW)", "How close an unlearned model's accuracies on forget, retain and test set are to those of "
         "a retrained one: 1 is equal."),
    Term("Unlearning", "Changing a trained model so that it behaves as though it had never seen some samples."),
]  # fmt: skip

REFERENCES = [
    "Bonett and Wright: Sample size requirements for estimating Pearson, Kendall and Spearman correlations. "
    "Psychometrika 65 (2000). Intervals of correlations.",
    "Carlini et al.: Membership inference attacks from first principles. IEEE S&P (2022). LiRA.",
    "Chen et al.: Machine unlearning in forgetting sequence. Attack success rate, order of risk, tug of war.",
    "Clopper and Pearson: The use of confidence or fiducial limits. Biometrika 26 (1934). Intervals of proportions.",
    "DeLong et al.: Comparing the areas under correlated ROC curves. Biometrics 44 (1988). The "
    "target model's interval.",
    "European Data Protection Board: Opinion 28/2024 on AI models. What must be insignificant for each data subject.",
    "Hayes et al.: Inexact unlearning needs more careful evaluations to avoid a false sense of privacy. arXiv "
    "2403.01218. U-LiRA.",
    "Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6 (1979).",
    "Neyman: Outline of a theory of statistical estimation based on the classical theory of probability. Philosophical "
    "Transactions A 236 (1937). Intervals of a sample's risk, over simulated audits.",
    "Obuchowski: Nonparametric analysis of clustered ROC curve data. Biometrics 53 (1997). Intervals over pairs.",
    "Steinke et al.: Privacy auditing with one (1) training run. NeurIPS (2023).",
    "Wilson: Probable inference, the law of succession, and statistical inference. JASA 22 (1927). Intervals of "
    "shares of samples.",
    "Zarifzadeh et al.: Low-cost high-power membership inference attacks. ICML (2024). RMIA.",
    "Zhao et al.: What makes unlearning hard and what to do about it. arXiv 2406.01257. Fidelity.",
]
