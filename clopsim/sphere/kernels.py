"""The step of many runs on a GPU, in Triton: whole descents on the chip, or step by step where the state is too large.

TF32 products take the leading 11 bits of a number. A number is split into two such parts, and of the four products of
parts the three that float32 can see are added: twice as fast as products of float32, and as precise.

After a product a thread holds columns 2t, 2t + 1 of eight; as a factor of the next it must hold t, t + 4. _columns and
_rows rename the summation index so that nothing has to move between threads.
"""

import triton
import triton.language as tl


@triton.jit
def _rounded(x):
    """x = high + low, high rounded to the 11 bits of TF32: the error of a product has no preferred sign."""
    high = ((x.to(tl.int32, bitcast=True) + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return high, x - high


@triton.jit
def _truncated(x):
    """The same without rounding, an operation less: enough for one of two factors."""
    high = (x.to(tl.int32, bitcast=True) & -0x2000).to(tl.float32, bitcast=True)
    return high, x - high


@triton.jit
def _product(a, a_low, b, b_low, total):
    """total + (a + a_low) (b + b_low), small terms first; the product of the low parts is below float32."""
    total = tl.dot(a_low, b, total, input_precision="tf32")
    total = tl.dot(a, b_low, total, input_precision="tf32")
    return tl.dot(a, b, total, input_precision="tf32")


@triton.jit
def _columns(x):
    """The columns of x (R, C) renamed 8k + 2t + b -> 8k + 4b + t."""
    R: tl.constexpr = x.shape[0]
    C: tl.constexpr = x.shape[1]
    return tl.reshape(tl.permute(tl.reshape(x, (R, C // 8, 4, 2)), (0, 1, 3, 2)), (R, C))


@triton.jit
def _rows(x):
    """The rows of x renamed as _columns does."""
    R: tl.constexpr = x.shape[0]
    C: tl.constexpr = x.shape[1]
    return tl.reshape(tl.permute(tl.reshape(x, (R // 8, 4, 2, C)), (0, 2, 1, 3)), (R, C))


@triton.jit
def _inverse(x):
    """1/x of positive numbers, to two roundings; a division would scale first."""
    root = tl.rsqrt(x)
    return root * root


@triton.jit
def _kernel(a, a_low, b, b_low, scale, others):
    """E of rows a (R, D) and keys b (C, D): exp2(scale (s - 1)) where others says so, else 0."""
    zero = tl.zeros((a.shape[0], b.shape[0]), tl.float32)
    cosines = _product(_columns(a), _columns(a_low), tl.trans(_columns(b)), tl.trans(_columns(b_low)), zero)
    return tl.where(others, tl.exp2(tl.fma(cosines, scale, -scale)), 0.0)


@triton.jit
def _pulled(weights, keys, keys_low, total):
    """total + weights (R, C) times keys (C, D)."""
    high, low = _truncated(_columns(weights))
    return _product(high, low, _rows(keys), _rows(keys_low), total)


@triton.jit
def _moved(z, g, v, rate, beta, TANGENT: tl.constexpr, MOMENTUM: tl.constexpr):
    """z - rate g, or with momentum z - rate v, before it is normalised, and v."""
    if TANGENT:
        g = tl.fma(z, -tl.sum(z * g, 1)[:, None], g)
    if MOMENTUM:
        v = tl.fma(v, beta, g)
        g = v
    return tl.fma(g, -rate, z), v


@triton.jit(do_not_specialize=["steps", "looks", "look", "row_run"])
def descend(
    z_ptr,
    out_ptr,
    speed_ptr,
    row_ptr,
    rate_ptr,
    scale_ptr,
    pull_ptr,
    beta,
    steps,
    looks,
    look,
    row_run,
    n: tl.constexpr,
    d: tl.constexpr,
    N: tl.constexpr,
    D: tl.constexpr,
    FULL: tl.constexpr,
    TANGENT: tl.constexpr,
    SYMMETRIC: tl.constexpr,
    PROTOTYPES: tl.constexpr,
    MOMENTUM: tl.constexpr,
):
    """All steps of one run a program, its state (N, D) in registers, until it settles (engine).

    It looks after two steps and then every look steps, looks times, at the state of two steps before, left in out and
    speed. A settled run has one more step to take, or none.
    """
    run = tl.program_id(0).to(tl.int64)
    z_ptr += run * n * d
    out_ptr += run * n * d
    speed_ptr += run * n * d
    row_ptr += run * row_run
    i = tl.arange(0, N)
    k = tl.arange(0, D)
    inside = (i < n)[:, None] & (k < d)[None, :]
    at = i[:, None] * d + k[None, :]
    z = tl.load(z_ptr + at, mask=inside, other=0.0)
    v = z
    if MOMENTUM:
        v = tl.load(speed_ptr + at, mask=inside, other=0.0)
    rate = tl.load(rate_ptr + run)
    scale = tl.load(scale_ptr + run)
    pull = tl.load(pull_ptr + run)
    others = i[:, None] != i[None, :]
    if n < N:
        others = others & (i < n)[:, None] & (i < n)[None, :]
    partner = i[None, :] == ((i + n // 2) % n)[:, None]
    none = tl.zeros((N, D), tl.float32)
    done = steps * 0
    for half in range(0, 2 * looks):  # even: to two steps before a look; odd: to the look
        mark = 2 + half // 2 * look
        stop = tl.minimum(steps, mark - 2 + half % 2 * 2)
        for _ in range(done, stop):
            high, low = _rounded(z)
            e = _kernel(high, low, high, low, scale, others)
            r = _inverse(tl.sum(e, 1))
            if n < N:
                r = tl.where(i < n, r, 0.0)
            if SYMMETRIC:
                w = e * (r[:, None] + r[None, :])
            else:
                w = e * r[:, None]
            if FULL:
                w = tl.where(partner, w - (2.0 if SYMMETRIC else 1.0), w)
            g = _pulled(w, high, low, none) * pull
            if PROTOTYPES:
                g -= tl.load(row_ptr + at, mask=inside, other=0.0)
            z, v = _moved(z, g, v, rate, beta, TANGENT, MOMENTUM)
            length = tl.rsqrt(tl.sum(z * z, 1))
            if n < N:
                length = tl.where(i < n, length, 0.0)
            z = z * length[:, None]
        done = tl.maximum(done, stop)
        if (half % 2 == 0) & (done == mark - 2):
            tl.debug_barrier()  # the last look has been taken by every thread
            tl.store(out_ptr + at, z, mask=inside)
            if MOMENTUM:
                tl.store(speed_ptr + at, v, mask=inside)
        if (half % 2 == 1) & (done == mark):
            tl.debug_barrier()  # what the other threads have stored
            moves = inside & (z != tl.load(out_ptr + at, mask=inside, other=0.0))
            if MOMENTUM:
                moves = moves | (inside & (v != tl.load(speed_ptr + at, mask=inside, other=0.0)))
            settled = tl.max(tl.max(moves.to(tl.int32), 1), 0) == 0
            steps = tl.where(settled, done + (steps - done) % 2, steps)
    tl.store(out_ptr + at, z, mask=inside)
    if MOMENTUM:
        tl.store(speed_ptr + at, v, mask=inside)


@triton.jit
def inverse_sums(
    z_ptr, scale_ptr, r_ptr, n: tl.constexpr, d: tl.constexpr, D: tl.constexpr, M: tl.constexpr, K: tl.constexpr
):
    """r_i = 1 / sum_j E_ij of M rows of one run a program, the keys in blocks of K."""
    blocks: tl.constexpr = (n + M - 1) // M
    run = (tl.program_id(0) // blocks).to(tl.int64)
    z_ptr += run * n * d
    i = tl.program_id(0) % blocks * M + tl.arange(0, M)
    k = tl.arange(0, D)
    at = i[:, None] * d + k[None, :]
    high, low = _rounded(tl.load(z_ptr + at, mask=(i < n)[:, None] & (k < d)[None, :], other=0.0))
    scale = tl.load(scale_ptr + run)
    total = tl.zeros((M,), tl.float32)
    for first in range(0, n, K):
        j = first + tl.arange(0, K)
        keys = tl.load(z_ptr + j[:, None] * d + k[None, :], mask=(j < n)[:, None] & (k < d)[None, :], other=0.0)
        key, key_low = _rounded(keys)
        others = (i[:, None] != j[None, :]) & (j < n)[None, :]
        total += tl.sum(_kernel(high, low, key, key_low, scale, others), 1)
    tl.store(r_ptr + run * n + i, _inverse(total), mask=i < n)


@triton.jit(do_not_specialize=["row_run"])
def move(
    z_ptr,
    out_ptr,
    speed_ptr,
    row_ptr,
    rate_ptr,
    scale_ptr,
    pull_ptr,
    r_ptr,
    beta,
    row_run,
    n: tl.constexpr,
    d: tl.constexpr,
    D: tl.constexpr,
    M: tl.constexpr,
    K: tl.constexpr,
    FULL: tl.constexpr,
    TANGENT: tl.constexpr,
    SYMMETRIC: tl.constexpr,
    PROTOTYPES: tl.constexpr,
    MOMENTUM: tl.constexpr,
):
    """One step of M rows of one run a program from z to out, the keys in blocks of K; speed in place."""
    blocks: tl.constexpr = (n + M - 1) // M
    run = (tl.program_id(0) // blocks).to(tl.int64)
    z_ptr += run * n * d
    out_ptr += run * n * d
    speed_ptr += run * n * d
    row_ptr += run * row_run
    r_ptr += run * n
    i = tl.program_id(0) % blocks * M + tl.arange(0, M)
    k = tl.arange(0, D)
    at = i[:, None] * d + k[None, :]
    inside = (i < n)[:, None] & (k < d)[None, :]
    high, low = _rounded(tl.load(z_ptr + at, mask=inside, other=0.0))
    scale = tl.load(scale_ptr + run)
    r = tl.load(r_ptr + i, mask=i < n, other=0.0)
    g = tl.zeros((M, D), tl.float32)
    for first in range(0, n, K):
        j = first + tl.arange(0, K)
        keys = tl.load(z_ptr + j[:, None] * d + k[None, :], mask=(j < n)[:, None] & (k < d)[None, :], other=0.0)
        key, key_low = _rounded(keys)
        others = (i[:, None] != j[None, :]) & (j < n)[None, :]
        e = _kernel(high, low, key, key_low, scale, others)
        if SYMMETRIC:
            w = e * (r[:, None] + tl.load(r_ptr + j, mask=j < n, other=0.0)[None, :])
        else:
            w = e * r[:, None]
        g = _pulled(w, key, key_low, g)
    if FULL:
        partner = ((i + n // 2) % n)[:, None] * d + k[None, :]
        g -= (2.0 if SYMMETRIC else 1.0) * tl.load(z_ptr + partner, mask=inside, other=0.0)
    g *= tl.load(pull_ptr + run)
    if PROTOTYPES:
        g -= tl.load(row_ptr + at, mask=inside, other=0.0)
    z = tl.load(z_ptr + at, mask=inside, other=0.0)
    v = z
    if MOMENTUM:
        v = tl.load(speed_ptr + at, mask=inside, other=0.0)
    z, v = _moved(z, g, v, tl.load(rate_ptr + run), beta, TANGENT, MOMENTUM)
    tl.store(out_ptr + at, z * tl.rsqrt(tl.sum(z * z, 1))[:, None], mask=inside)
    if MOMENTUM:
        tl.store(speed_ptr + at, v, mask=inside)
