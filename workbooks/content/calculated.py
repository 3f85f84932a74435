"""Calculated fields that several workbooks have, each with what it means for a row, so that drawings show the same."""

from __future__ import annotations

from workbooks.authoring.fields import Field
from workbooks.authoring.names import bracketed, calculation_name
from workbooks.authoring.parameters import Parameter
from workbooks.gathering.classified import MODEL


def is_chosen_model(model: Parameter, where: str) -> Field:
    """True in the rows of the model that is chosen."""
    return Field(calculation_name(where, "is chosen model"), "boolean", "Is of the Model", uses=(MODEL,),
                 formula=f"{bracketed(MODEL)} = {model.reference}",
                 value=lambda row, chosen: row[MODEL] == chosen[model.caption])


def needs_review(threshold: Parameter, where: str) -> Field:
    """True below the threshold or without an answer, as `image_needs_review` says it."""
    return Field(calculation_name(where, "needs review"), "boolean", "Needs Review", uses=("confidence",),
                 formula=f"ISNULL([confidence]) OR [confidence] < {threshold.reference}",
                 value=lambda row, chosen: row["confidence"] is None or row["confidence"] < chosen[threshold.caption])


def is_picture(image: str, picture: Parameter, where: str) -> Field:
    """True in the rows of the picture that is chosen."""
    return Field(calculation_name(where, "is picture"), "boolean", "Is the Picture", uses=(image,),
                 formula=f"{bracketed(image)} = {picture.reference}",
                 value=lambda row, chosen: row[image] == chosen[picture.caption])


def mark_size(image: str, picture: Parameter, where: str) -> Field:
    """Four for the picture that is chosen, one for the others."""
    return Field(calculation_name(where, "mark size"), "integer", "Mark Size", is_dimension=False, uses=(image,),
                 formula=f"IIF({bracketed(image)} = {picture.reference}, 4, 1)",
                 value=lambda row, chosen: 4 if row[image] == chosen[picture.caption] else 1)
