"""Text classifiers of Transformers, with random weights, under noise on embeddings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import smoothbound as sb
from smoothbound.errors import ModelError
from smoothbound.models import TextClassifier

pytestmark = pytest.mark.usefixtures("torchvision")
transformers = pytest.importorskip("transformers", exc_type=ImportError)

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "id2label": {0: "bad", 1: "good", 2: "so so"},
}
IDS = torch.tensor([[2, 7, 9, 30, 3], [2, 8, 8, 12, 3]])


def bert(**options: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(**{**SIZES, "hidden_dropout_prob": 0.5, **options})
    return transformers.BertForSequenceClassification(config)


def gpt2() -> Any:
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_embd=16, n_layer=2, n_head=2, vocab_size=50, pad_token_id=0, num_labels=3
    )
    return transformers.GPT2ForSequenceClassification(config)


def test_embeddings_give_what_tokens_give() -> None:
    model = bert().eval()
    mask = torch.tensor([[1, 1, 1, 0, 0]]).expand(2, -1)
    types = torch.tensor([[0, 0, 1, 1, 1]]).expand(2, -1)
    made = TextClassifier(model, IDS, attention_mask=mask, token_type_ids=types)
    assert made.class_names == ("bad", "good", "so so")
    assert made.inputs.shape == (2, 5, 16)
    with torch.no_grad():
        expected = model(input_ids=IDS, attention_mask=mask, token_type_ids=types).logits
        torch.testing.assert_close(made(made.inputs), expected, atol=1e-5, rtol=1e-4)
        one = made(made.inputs[:1].expand(7, -1, -1))
        torch.testing.assert_close(one, expected[:1].expand(7, -1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", [bert, gpt2])
def test_it_is_certified(make: Any) -> None:
    model = make().train()
    made = TextClassifier(model, IDS, torch.ones_like(IDS))
    smoothed = sb.SmoothedClassifier(made, sigma=0.05, cutoff=0.0)
    cert = smoothed.certify(made.inputs, n=200, n0=20, radii=[0.0, 0.02])
    again = smoothed.certify(made.inputs, n=200, n0=20, radii=[0.0, 0.02])
    assert (cert.lower == again.lower).all()
    assert (cert.lower[:, 0] > 0.1).all()
    assert cert.settings.displacement > 0.0  # the embeddings lie on no grid
    assert model.training


def test_the_noise_is_on_the_embeddings() -> None:
    model = bert()
    made = TextClassifier(model, IDS[:1])
    seen: list[torch.Tensor] = []
    model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    options = {"batch_size": 10, "channels_last": False, "check_rows": False}
    sb.SmoothedClassifier(made, sigma=0.05, **options).draw(made.inputs[0], n=200, n0=10)
    moved = torch.cat(seen) - made.inputs
    assert float(moved.std()) == pytest.approx(0.05, rel=0.03)


def test_padding_that_only_tokens_show_is_refused() -> None:
    """GPT-2 takes the last token that is no padding, which embeddings do not tell."""
    ids = torch.tensor([[5, 6, 7, 0, 0]])
    with pytest.raises(ModelError, match="other logits from inputs_embeds"):
        TextClassifier(gpt2(), ids, (ids != 0).long())


def test_masks_have_to_be_those_of_all_texts() -> None:
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    for name in ("attention_mask", "token_type_ids"):
        with pytest.raises(ValueError, match=f"{name} must be the same for all texts"):
            TextClassifier(bert(), IDS, **{name: mask})
        with pytest.raises(ValueError, match=f"{name} must have the shape of input_ids"):
            TextClassifier(bert(), IDS, **{name: mask[:, :3]})


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match="model must be a PreTrainedModel"):
        TextClassifier(torch.nn.Linear(2, 2), IDS)
    with pytest.raises(TypeError, match="input_ids must be a Tensor"):
        TextClassifier(bert(), IDS.tolist())
    with pytest.raises(ValueError, match=r"\(texts, tokens\)"):
        TextClassifier(bert(), IDS[0])
    with pytest.raises(ValueError, match="problem_type"):
        TextClassifier(bert(problem_type="multi_label_classification"), IDS)
    with pytest.raises(ModelError, match="without them"):
        TextClassifier(bert().bert, IDS)
    words = transformers.BertForTokenClassification(bert().config)
    with pytest.raises(ModelError, match=r"logits of shape \(2, 3\), got \(2, 5, 3\)"):
        TextClassifier(words, IDS)
    made = TextClassifier(bert(), IDS)
    with pytest.raises(ModelError, match=r"embeddings must have the shape \(5, 16\)"):
        sb.SmoothedClassifier(made, 0.05).draw(made.inputs[0, :4], n=10, n0=10)
    with pytest.raises(TypeError, match="TextClassifier"):
        sb.SmoothedClassifier(bert(), 0.05)
