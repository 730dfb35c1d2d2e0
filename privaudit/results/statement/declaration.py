"""What an audit's owner declares, and nothing here measures: who, when, why, of which model, under which limits."""

from __future__ import annotations

import datetime

from pydantic import ConfigDict, Field

from privaudit.results.base import Result


class _Part(Result):
    """A table of the file: what it does not know is a slip, and is told."""

    model_config = ConfigDict(extra="forbid")


class DeclaredModel(_Part):
    """The model that is in use, or will be."""

    name: str | None = Field(None, description="the deployed model", examples=["ward-triage"])
    version: str | None = Field(None, description="its version", examples=["2.3.1"])
    deployed: str | None = Field(None, description="where it is in use, and by whom", examples=["internal, 40 nurses"])


class DeclaredPeople(_Part):
    """Whose data it was trained on."""

    who: str | None = Field(None, description="the data subjects", examples=["patients of 2019-2024"])
    records: str | None = Field(None, description="records a person, where there are several", examples=["1 to 12"])
    prior: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="the share of those an attacker would ask of who were trained on, 0 to 1",
        examples=[0.1],
    )


class DeclaredPrivacy(_Part):
    """A promise of differential privacy."""

    epsilon: float | None = Field(None, gt=0, allow_inf_nan=False, description="the claimed epsilon", examples=[8.0])
    delta: float | None = Field(None, ge=0, lt=1, description="its delta", examples=[1e-5])
    unit: str | None = Field(None, description="what it protects: a record, or a person", examples=["record"])
    accountant: str | None = Field(None, description="how it was computed", examples=["RDP, Opacus 1.5"])


class DeclaredLimits(_Part):
    """The most that is acceptable; `privaudit gate` holds the audit against it too."""

    tpr: dict[str, float] | None = Field(
        None,
        description="members found at a false alarm rate: at most this share",
        examples=[{"0.01": 0.02, "0.001": 0.005}],
    )
    auc: float | None = Field(None, ge=0.5, le=1, description="AUC, at most", examples=[0.6])
    asr: float | None = Field(None, ge=0.5, le=1, description="mean risk of the most exposed, at most", examples=[0.9])
    epsilon: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="epsilon, at most: canaries must not refute it", examples=[8.0]
    )


class Declaration(_Part):
    """What is declared; every field may be left out, and the report says that it was."""

    title: str | None = Field(None, description="title of the report", examples=["Ward triage: privacy audit"])
    organisation: str | None = Field(None, description="for whom the audit was made", examples=["Example Hospital"])
    author: str | None = Field(None, description="who made it", examples=["Data protection team"])
    independence: str | None = Field(
        None, description="how the author stands to those who trained the model", examples=["not part of that team"]
    )
    date: datetime.date | None = Field(None, description="the day it was made", examples=[datetime.date(2026, 1, 31)])
    purpose: str | None = Field(None, description="what the audit is to decide", examples=["release of version 2.3"])
    measures: tuple[str, ...] = Field(
        (), description="what was done to protect the people", examples=[("weight decay", "no free-text fields")]
    )
    valid_until: datetime.date | None = Field(
        None, description="until when the audit holds", examples=[datetime.date(2027, 1, 31)]
    )
    retest_when: str | None = Field(None, description="what makes it void before", examples=["any retraining"])
    model: DeclaredModel = Field(default_factory=DeclaredModel)
    people: DeclaredPeople = Field(default_factory=DeclaredPeople)
    privacy: DeclaredPrivacy = Field(default_factory=DeclaredPrivacy)
    limits: DeclaredLimits = Field(default_factory=DeclaredLimits)
