"""Text classifiers of Transformers, under noise on the embeddings of their tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from smoothbound._utils import checks
from smoothbound._utils.extras import name_the_extra
from smoothbound.adapters._evaluating import evaluating
from smoothbound.errors import ModelError, said
from smoothbound.models._hub.from_transformers import check_single_label, class_names_of
from smoothbound.models._hub.pixels import check_parameters, logits_of

__all__ = ["TextClassifier"]

_TOLERANCE = 1e-4  # of logits from the embeddings and from the tokens; they differ by rounding


class TextClassifier(nn.Module):
    """A text classifier of Transformers as a function of the embeddings of its tokens.

    Noise is added to the embeddings, ``inputs_embeds`` of the model, before positions are added and
    before the first layer. Sigma and radii are in the units of the embeddings. The attention mask
    stays as it is.

    A certificate holds for all embeddings within an l2 ball around those of the text, over all of
    its tokens together. **It says nothing about edits of words**: a token that is added or removed
    is outside, and a word that is replaced is inside only if its embeddings are near enough.

    Parameters
    ----------
    model : PreTrainedModel
        A model for the classification of sequences.
    input_ids, attention_mask, token_type_ids : Tensor of int, shape (texts, tokens)
        What the tokenizer of the model returns: ``TextClassifier(model, **tokenizer(text,
        return_tensors="pt"))``. All texts must have the same mask and types, because one model
        certifies them all. Texts of other lengths need another `TextClassifier`, which shares the
        parameters.

    Attributes
    ----------
    inputs : Tensor of float32, shape (texts, tokens, width)
        The embeddings of the texts: the inputs of `SmoothedClassifier.certify`.
    class_names : tuple of str
        Names of the classes, from ``config.id2label``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind or shape; if masks differ; if the model is for several
        labels an input or for regression, or its parameters are not in float32.
    ModelError
        If the model computes something else from the embeddings than from the tokens, or returns
        no logits of a class of each text.
    ModuleNotFoundError
        If Transformers is not installed: ``pip install "smoothbound[transformers]"``.

    Examples
    --------
    >>> made = TextClassifier(model, **tokenizer("fine", return_tensors="pt"))  # doctest: +SKIP
    >>> smoothed = SmoothedClassifier(made, sigma=0.1)  # doctest: +SKIP
    >>> smoothed.certify(made.inputs, radii=[0.0, 0.1])  # doctest: +SKIP
    """

    def __init__(
        self,
        model: nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> None:
        super().__init__()
        with name_the_extra():
            from transformers import PreTrainedModel
        classifier: Any = checks.instance("model", model, PreTrainedModel)
        check_single_label(classifier)
        check_parameters(classifier)
        if checks.instance("input_ids", input_ids, Tensor).ndim != 2 or not len(input_ids):
            raise ValueError(
                f"input_ids must have the shape (texts, tokens), got {tuple(input_ids.shape)}"
            )
        self.model = classifier
        for name, given in (
            ("attention_mask", attention_mask),
            ("token_type_ids", token_type_ids),
        ):
            row = None if given is None else _row(name, given, input_ids)
            self.register_buffer(name, row, persistent=False)
        self.inputs = self._embedded(input_ids)
        self.class_names = class_names_of(classifier)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return the logits of embeddings, shape (batch, tokens, width)."""
        if embeddings.shape[1:] != self.inputs.shape[1:]:
            raise ValueError(
                f"embeddings must have the shape {tuple(self.inputs.shape[1:])} of the text that "
                f"this network was made for, got {tuple(embeddings.shape[1:])}"
            )
        return self._logits(len(embeddings), inputs_embeds=embeddings)

    def _logits(self, rows: int, **given: Tensor) -> Tensor:
        for name in ("attention_mask", "token_type_ids"):
            row = getattr(self, name)
            if row is not None:
                given[name] = row.expand(rows, -1)
        return logits_of(self.model(**given))

    def _embedded(self, input_ids: Tensor) -> Tensor:
        """Return the embeddings of tokens, from which the model must compute the same."""
        where = next(self.model.parameters()).device
        ids = input_ids.to(where)
        self.to(where)
        try:
            with evaluating(self), torch.no_grad():
                embeddings: Tensor = self.model.get_input_embeddings()(ids)
                found = self._logits(len(ids), inputs_embeds=embeddings)
                expected = self._logits(len(ids), input_ids=ids)
        except Exception as error:  # a network of others can raise anything
            raise ModelError(
                f"the model does not classify embeddings of tokens: {said(error)}"
            ) from error
        shape = len(ids), self.model.config.num_labels
        if expected.shape != shape:
            raise ModelError(
                f"the model must return logits of shape {shape}, got {tuple(expected.shape)}: take "
                "a model for the classification of sequences"
            )
        limit = _TOLERANCE * (1 + float(expected.abs().max()))
        if found.shape != expected.shape or not bool(((found - expected).abs() <= limit).all()):
            raise ModelError(
                "the model returns other logits from inputs_embeds than from input_ids, so that a "
                "certificate would be for another classifier; leave out padding, which some models "
                "see in input_ids only"
            )
        return embeddings.float().cpu()


def _row(name: str, given: Tensor, input_ids: Tensor) -> Tensor:
    """Return the row that all texts share, shape (1, tokens)."""
    if checks.instance(name, given, Tensor).shape != input_ids.shape:
        raise ValueError(
            f"{name} must have the shape of input_ids, {tuple(input_ids.shape)}, got "
            f"{tuple(given.shape)}"
        )
    if not bool((given == given[:1]).all()):
        raise ValueError(
            f"{name} must be the same for all texts, and differs: make a TextClassifier for each "
            "text, without padding"
        )
    return given[:1].clone()
