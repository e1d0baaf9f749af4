import copy

import pytest
import torch

from napari_penumbra.networks.dual_task import DualTaskNetwork, FirstPass, Refinement, foreground, with_background

CUBIC = (1.0, 1.0, 1.0)


def network(dims=2, channels=2, classes=3, **options):
    torch.manual_seed(0)
    return DualTaskNetwork(channels, classes, CUBIC, dims, width=2, depth=10, **options)


def image(dims=2, batch=2, channels=2, size=32):
    return torch.randn(batch, channels, *[size] * dims, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("dims", "size"), [(2, 64), (3, 32)])
def test_results_at_five_scales(dims, size):
    answer = network(dims)(image(dims, size=size), inpaint=True)
    assert answer["coarse"][0].shape == (2, 2, *[size] * dims)
    for kind, channels in (("segmentation", 2), ("inpainting", 2)):
        assert [tuple(r.shape) for r in answer[kind]] == [(2, channels, *[size >> n] * dims) for n in range(5)]
    assert network(dims)(image(dims, size=size))["inpainting"] == []


def test_heads_have_the_published_channels():
    made = DualTaskNetwork(3, 2, CUBIC, 2)
    for heads, outputs in ((made.segmentation_heads, 1), (made.inpainting_heads, 3)):
        assert [head[0][0].out_channels for head in heads] == [32, 16, 32, 64, 128]
        assert {head[2].out_channels for head in heads} == {outputs}
        assert {head[1].p for head in heads} == {0.1}
    assert [fusion.merge.out_channels for fusion in made.fusions] == [64, 64, 128, 256, 512]


def plainly(made, x):
    """The published order of work: three encodings, everything with a graph."""
    coarse = made.segmentation_heads[0](made.segmentation(made.encoder(x))[0])
    hidden = x * (coarse.sigmoid().amax(1, keepdim=True) <= 0.5).to(x.dtype)
    fused = [f(s, m) for f, s, m in zip(made.fusions, made.encoder(x), made.encoder(hidden), strict=True)]
    fine = [h(d) for h, d in zip(made.segmentation_heads, made.segmentation(fused), strict=True)]
    painted = [h(d) for h, d in zip(made.inpainting_heads, made.inpainting(fused), strict=True)]
    mask = (fine[0].sigmoid().amax(1, keepdim=True) > 0.5).to(x.dtype)
    return fine, [painted[0] * mask + x * (1 - mask), *painted[1:]]


def test_two_encodings_give_the_results_and_gradients_of_three():
    made = network(dropout=0.0).double()
    x = image().double()
    gradients = []
    for answer in (
        plainly(made, x),
        (lambda a: (a["segmentation"], a["inpainting"]))(made(x, inpaint=True)),
    ):
        total = sum(r.square().mean() for kind in answer for r in kind)
        gradients.append([total.detach(), *torch.autograd.grad(total, list(made.parameters()))])
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_the_coarse_result_carries_no_graph_unless_asked():
    made = network()
    assert not made(image())["coarse"][0].requires_grad
    assert made(image(), learn_coarse=True)["coarse"][0].requires_grad
    with torch.no_grad():
        assert not made(image(), learn_coarse=True)["coarse"][0].requires_grad


def test_without_segment_only_the_inpainting_can_be_learnt():
    answer = network()(image(), segment=False, inpaint=True)
    assert not any(r.requires_grad for r in answer["segmentation"])
    assert all(r.requires_grad for r in answer["inpainting"])


def test_the_image_stays_outside_the_fine_mask():
    made = network().eval()
    x = image()
    with torch.no_grad():
        answer = made(x, inpaint=True)
        mask = foreground(answer["segmentation"][0]).expand_as(x)
        assert mask.any()
        assert not mask.all()
    assert torch.equal(answer["inpainting"][0][~mask], x[~mask])
    assert not torch.equal(answer["inpainting"][0][mask], x[mask])


def test_what_any_class_claims_is_hidden():
    logits = torch.tensor([[[[-1.0, 2.0, -3.0, 0.0]], [[-2.0, -5.0, 4.0, -1.0]]]])
    assert foreground(logits).tolist() == [[[[False, True, True, False]]]]
    made = network().eval()
    seen = []
    made.encoder.register_forward_hook(lambda module, inputs, features: seen.append(inputs[0]))
    with torch.no_grad():
        answer = made(image())
    hidden = foreground(answer["coarse"][0]).expand_as(seen[1])
    assert torch.equal(seen[1], torch.where(hidden, 0.0, seen[0]))


def test_without_fused_features_both_passes_agree():
    """A select gate that is shut leaves the second pass what the first had."""
    made = network().eval()
    for fusion in made.fusions:
        torch.nn.init.zeros_(fusion.select.weight)
        torch.nn.init.constant_(fusion.select.bias, -100.0)
    with torch.no_grad():
        answer = made(image())
        assert torch.allclose(answer["coarse"][0], answer["segmentation"][0], atol=1e-5)
        assert torch.allclose(FirstPass(made)(image()), Refinement(made)(image()), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("dims", [2, 3])
def test_wrappers_answer_logits_of_the_images_size(dims, classes):
    made = network(dims, classes=classes).eval()
    x = torch.randn(2, 2, *(9, 33, 20)[3 - dims :])
    with torch.no_grad():
        for wrapper in (Refinement(made).eval(), FirstPass(made).eval()):
            assert wrapper(x).shape == (2, classes, *x.shape[2:])
            assert (wrapper.margin, wrapper.divisor) == ((0, 0, 0), made.divisor)
            assert not wrapper(x)[:, 0].any()


def test_a_copy_of_the_first_pass_stands_alone():
    made = network().eval()
    alone = copy.deepcopy(FirstPass(made))
    with torch.no_grad():
        before = alone(image())
        for parameter in made.parameters():
            parameter.zero_()
        assert torch.equal(alone(image()), before)


def test_logits_of_one_class_are_its_sigmoid():
    z = torch.randn(2, 1, 3, 3)
    assert torch.allclose(with_background(z).softmax(1)[:, 1], z[:, 0].sigmoid())


def test_logits_of_several_classes_are_sigmoids_given_at_most_one():
    z = torch.randn(5, 3, dtype=torch.double)
    p = z.sigmoid()
    single = [p[:, k] * torch.stack([1 - p[:, j] for j in range(3) if j != k]).prod(0) for k in range(3)]
    weights = torch.stack([(1 - p).prod(1), *single], dim=1)
    assert torch.allclose(with_background(z).softmax(1), weights / weights.sum(1, keepdim=True))
    assert torch.equal(with_background(z).argmax(1) > 0, foreground(z)[:, 0])


def test_nothing_is_stored_twice():
    state = network().state_dict()
    assert len({t.data_ptr() for t in state.values() if t.numel() > 1}) == sum(t.numel() > 1 for t in state.values())
