#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Distils the default model: a 64-feature, 16-convolution SRVGGNetCompact student of
RealESRGAN_x4plus.

The teacher (BSD-3-Clause, (c) 2021 Xintao Wang) labels randomly degraded crops once; the student
regresses the labels. Everything runs on one GPU inside a time budget:

    distill_default_model.py --teacher realesrgan-x4plus.bin --images DIR --eval DIR --out DIR \\
        --budget 1400

Outputs: upres-general-x4.safetensors (fp32), .fp16.safetensors, sheet_*.png (input | bicubic |
student | teacher), log on stdout. Needs PyTorch 2.3 or later with CUDA, numpy, Pillow, safetensors.
"""
import argparse
import glob
import io
import math
import os
import random
import struct
import time
from multiprocessing import Pool

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import save_file

Image.MAX_IMAGE_PIXELS = None
LR, SCALE = 80, 4
T0 = time.time()


def log(*a):
    print(f"[{time.time() - T0:6.0f}s]", *a, flush=True)


class RDB(nn.Module):
    def __init__(self):
        super().__init__()
        for i in range(5):
            setattr(self, f"conv{i + 1}", nn.Conv2d(64 + 32 * i, 32 if i < 4 else 64, 3, 1, 1))

    def forward(self, x):
        f = [x]
        for i in range(4):
            f.append(F.leaky_relu(getattr(self, f"conv{i + 1}")(torch.cat(f, 1)), 0.2))
        return self.conv5(torch.cat(f, 1)) * 0.2 + x


class RRDB(nn.Module):
    def __init__(self):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = RDB(), RDB(), RDB()

    def forward(self, x):
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    def __init__(self, blocks=23):
        super().__init__()
        self.conv_first = nn.Conv2d(3, 64, 3, 1, 1)
        self.body = nn.Sequential(*[RRDB() for _ in range(blocks)])
        for n in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, n, nn.Conv2d(64, 64, 3, 1, 1))
        self.conv_last = nn.Conv2d(64, 3, 3, 1, 1)

    def forward(self, x):
        f = self.conv_first(x)
        f = f + self.conv_body(self.body(f))
        f = F.leaky_relu(self.conv_up1(F.interpolate(f, scale_factor=2)), 0.2)
        f = F.leaky_relu(self.conv_up2(F.interpolate(f, scale_factor=2)), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(f), 0.2))


class Student(nn.Module):
    def __init__(self, feat=64, convs=16):
        super().__init__()
        layers = [nn.Conv2d(3, feat, 3, 1, 1), nn.PReLU(feat)]
        for _ in range(convs):
            layers += [nn.Conv2d(feat, feat, 3, 1, 1), nn.PReLU(feat)]
        layers += [nn.Conv2d(feat, 3 * SCALE * SCALE, 3, 1, 1)]
        self.body = nn.ModuleList(layers)

    def forward(self, x):
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, SCALE) + F.interpolate(x, scale_factor=SCALE)


def load_ncnn(net, path):
    """Reads an ncnn fp16 .bin whose layers are the network's convolutions in order."""
    b, o = open(path, "rb").read(), 0
    for c in [m for m in net.modules() if isinstance(m, nn.Conv2d)]:
        assert struct.unpack_from("<I", b, o)[0] == 0x01306B47
        n = c.weight.numel()
        c.weight.data = torch.from_numpy(
            np.frombuffer(b, np.float16, n, o + 4).astype(np.float32).reshape(c.weight.shape)
        )
        o += 4 + (2 * n + 3) // 4 * 4
        c.bias.data = torch.from_numpy(np.frombuffer(b, np.float32, c.bias.numel(), o).copy())
        o += 4 * c.bias.numel()
    assert o == len(b)
    return net


IMAGES = []


def degraded_crop(seed):
    """One LR x LR uint8 crop: random zoom, then (for 70 %) blur, resampling, noise and JPEG, each
    at random."""
    r = random.Random(seed)
    rng = np.random.default_rng(seed)
    im = r.choices(IMAGES, WEIGHTS)[0]
    w, h = im.size
    zoom = min(math.exp(r.uniform(0, math.log(6))), min(w, h) / LR)
    c = max(LR, int(LR * zoom))
    x, y = r.randint(0, w - c), r.randint(0, h - c)
    p = im.crop((x, y, x + c, y + c))
    hard = r.random() < 0.7
    if hard and r.random() < 0.5:
        p = p.filter(ImageFilter.GaussianBlur(r.uniform(0.1, 0.9) * c / LR))
    kind = r.choice([Image.BOX, Image.BILINEAR, Image.BICUBIC, Image.BICUBIC, Image.LANCZOS])
    if c != LR:
        p = p.resize((LR, LR), kind)
    if hard:
        if r.random() < 0.45:
            a = np.asarray(p).astype(np.float32)
            n = rng.standard_normal(a.shape if r.random() < 0.6 else (LR, LR, 1)).astype(
                np.float32
            ) * r.uniform(1, 14)
            if r.random() < 0.3:
                n = n * np.sqrt(a / 255 + 0.02)
            p = Image.fromarray((a + n).clip(0, 255).astype(np.uint8))
        if r.random() < 0.7:
            f = io.BytesIO()
            p.save(f, "JPEG", quality=r.randint(35, 95), subsampling=r.choice([0, 2, 2]))
            p = Image.open(io.BytesIO(f.getvalue())).convert("RGB")
    if r.random() < 0.5:
        p = p.transpose(Image.FLIP_LEFT_RIGHT)
    if r.random() < 0.25:
        p = p.transpose(Image.ROTATE_90)
    return np.asarray(p)


def psnr(a, b):
    return -10 * math.log10(((a.clamp(0, 1) - b.clamp(0, 1)) ** 2).mean().item() + 1e-12)


@torch.no_grad()
def quant_study(teacher, images):
    """PSNR against fp32 of the real teacher when the dense blocks run in fewer bits (fake
    quantisation)."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    convs = [(n, m) for n, m in teacher.named_modules() if isinstance(m, nn.Conv2d)]
    body = [(n, m) for n, m in convs if n.startswith("body.")]
    amax = {n: 0.0 for n, _ in convs}
    hs = [
        m.register_forward_hook(
            lambda m, i, o, n=n: amax.__setitem__(n, max(amax[n], i[0].abs().max().item()))
        )
        for n, m in convs
    ]
    refs = [teacher(x) for x in images]
    for h in hs:
        h.remove()
    log(
        "activation max: body",
        ["%.1f" % amax[n] for n, _ in body[::23]],
        "tail",
        ["%s %.1f" % (n, amax[n]) for n, _ in convs[-5:]],
    )

    def q(x, s, kind):
        if kind == "fp8":
            return (x / s * 448).to(torch.float8_e4m3fn).float() * (s / 448)
        if kind == "e5m2":
            return (x / s * 57344).to(torch.float8_e5m2).float() * (s / 57344)
        if kind == "int8":
            return torch.round(x / s * 127).clamp(-127, 127) * (s / 127)
        return x.to({"fp16": torch.float16, "bf16": torch.bfloat16}[kind]).float()

    def study(label, kind, names):
        saved, hooks = {}, []
        for n, m in convs:
            k = kind if n in names else "fp16"
            saved[n] = m.weight.data.clone()
            s = m.weight.data.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-8)
            m.weight.data = q(m.weight.data, s, k)
            hooks.append(m.register_forward_pre_hook(lambda m, i, n=n, k=k: (q(i[0], amax[n], k),)))
        outs = [teacher(x) for x in images]
        for h in hooks:
            h.remove()
        for n, m in convs:
            m.weight.data = saved[n]
        ps = [psnr(o, r) for o, r in zip(outs, refs)]
        mx = max(
            (o.clamp(0, 1) - r.clamp(0, 1)).abs().max().item() * 255 for o, r in zip(outs, refs)
        )
        log(
            f"quant {label:34s} mean {np.mean(ps):5.1f} dB  worst {min(ps):5.1f}  "
            f"max diff {mx:.0f}/255"
        )

    every, allb = {n for n, _ in convs}, {n for n, _ in body}
    study("fp16 everywhere", "fp16", every)
    study("bf16 everywhere", "bf16", every)
    for kind in ("fp8", "e5m2", "int8"):
        study(f"{kind} dense blocks", kind, allb)
        study(
            f"{kind} dense blocks, conv1-4 only", kind, {n for n in allb if not n.endswith("conv5")}
        )
        study(
            f"{kind} dense blocks but first/last 3",
            kind,
            {n for n in allb if 3 <= int(n.split(".")[1]) < 20},
        )
        study(f"{kind} conv5 only", kind, {n for n in allb if n.endswith("conv5")})
    study("fp8 all but first and last", "fp8", every - {"conv_first", "conv_last"})
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    for a in ("--teacher", "--images", "--eval", "--out"):
        ap.add_argument(a)
    ap.add_argument("--budget", type=float, default=1400)
    ap.add_argument("--patches", type=int, default=100_000)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    IMAGES = [Image.open(p).convert("RGB") for p in sorted(glob.glob(a.images + "/*"))]
    IMAGES = [im for im in IMAGES if min(im.size) >= LR]
    WEIGHTS = [(im.size[0] * im.size[1]) ** 0.5 for im in IMAGES]
    log(len(IMAGES), "images")
    torch.manual_seed(0)
    dev = "cuda"
    torch.backends.cudnn.benchmark = True
    teacher = load_ncnn(RRDBNet(), a.teacher).to(dev).eval()
    ev = [
        (
            os.path.basename(p),
            torch.from_numpy(np.asarray(Image.open(p).convert("RGB")).copy())
            .permute(2, 0, 1)[None]
            .float()
            .to(dev)
            / 255,
        )
        for p in sorted(glob.glob(a.eval + "/*"))
    ]
    quant_study(teacher, [x[..., :192, :192].contiguous() for _, x in ev])
    with Pool(16) as pool:
        lr = np.empty((a.patches, LR, LR, 3), np.uint8)
        for i, p in enumerate(pool.imap(degraded_crop, range(a.patches), chunksize=200)):
            lr[i] = p
    log("crops made")
    lr = torch.from_numpy(lr).permute(0, 3, 1, 2).contiguous().to(dev)
    hr = torch.empty((a.patches, 3, LR * SCALE, LR * SCALE), dtype=torch.uint8, device=dev)
    th = teacher.half().to(memory_format=torch.channels_last)
    with torch.no_grad():
        for i in range(0, a.patches, 50):
            x = (lr[i : i + 50].half() / 255).to(memory_format=torch.channels_last)
            hr[i : i + 50] = (th(x).clamp(0, 1) * 255).round().to(torch.uint8)
    torch.cuda.synchronize()
    log("labels made", torch.cuda.max_memory_allocated() >> 30, "GiB")
    net = Student().to(dev).to(memory_format=torch.channels_last)
    for m in net.modules():
        if isinstance(m, nn.PReLU):
            nn.init.constant_(m.weight, 0.1)
    ema = {k: v.clone() for k, v in net.state_dict().items()}
    opt = torch.optim.Adam(net.parameters(), 1e-3, betas=(0.9, 0.99))
    scaler = torch.amp.GradScaler("cuda")
    fwd = torch.compile(net)
    it, run, start = 0, 0.0, time.time()
    budget = a.budget - (start - T0)
    log("training for %.0f s" % budget)
    perm = torch.randperm(a.patches, device=dev)
    k = 0
    while True:
        frac = (time.time() - start) / budget
        if frac >= 1:
            break
        lr_now = (
            1e-3 * min(1, (it + 1) / 500) * (0.5 * (1 + math.cos(math.pi * frac)) * 0.999 + 0.001)
        )
        for g in opt.param_groups:
            g["lr"] = lr_now
        if k + 32 > a.patches:
            perm = torch.randperm(a.patches, device=dev)
            k = 0
        idx = perm[k : k + 32]
        k += 32
        x = (lr[idx].float() / 255).to(memory_format=torch.channels_last)
        t = hr[idx].float() / 255
        with torch.autocast("cuda", torch.float16):
            y = fwd(x)
        y = y.float()
        d = y - t
        gx, gy = d[..., 1:] - d[..., :-1], d[..., 1:, :] - d[..., :-1, :]
        loss = torch.sqrt(d * d + 1e-6).mean() + 0.5 * (gx.abs().mean() + gy.abs().mean())
        opt.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(opt)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(opt)
        scaler.update()
        with torch.no_grad():
            decay = min(0.999, (1 + it) / (10 + it))
            for n, v in net.state_dict().items():
                ema[n].lerp_(v, 1 - decay)
        it += 1
        if it % 2000 == 0:
            log(f"it {it} lr {lr_now:.2e} loss {loss.item():.4f} psnr-to-teacher {psnr(y, t):.2f}")
    net.load_state_dict(ema)
    net.eval()
    teacher = teacher.float()
    rows = []
    with torch.no_grad():
        for i, (n, x) in enumerate(ev):
            x = x[..., :256, :256]
            y, t, b = net(x), teacher(x), F.interpolate(x, scale_factor=4, mode="bicubic")
            rows.append((psnr(y, t), psnr(b, t)))
            log(
                f"eval {n}: student-teacher {rows[-1][0]:.2f} dB, "
                f"bicubic-teacher {rows[-1][1]:.2f} dB"
            )
            if i % 3 == 0:
                s = slice(0, 512)
                sheet = torch.cat(
                    [
                        F.interpolate(x, scale_factor=4)[..., s, s],
                        b[..., s, s],
                        y[..., s, s],
                        t[..., s, s],
                    ],
                    3,
                ).clamp(0, 1)[0]
                Image.fromarray(
                    (sheet.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
                ).save(f"{a.out}/sheet_{n.rsplit('.', 1)[0]}.png")
    log("mean student-teacher %.2f, bicubic-teacher %.2f, iterations %d" % (*np.mean(rows, 0), it))
    sd = {k: v.contiguous().float().cpu() for k, v in net.state_dict().items()}
    meta = {
        "architecture": "SRVGGNetCompact",
        "scale": "4",
        "name": "upres-general-x4",
        "teacher": "RealESRGAN_x4plus (BSD-3-Clause)",
    }
    save_file(sd, a.out + "/upres-general-x4.safetensors", metadata=meta)
    save_file(
        {k: v.half() for k, v in sd.items()},
        a.out + "/upres-general-x4.fp16.safetensors",
        metadata=meta,
    )
    log("done")
