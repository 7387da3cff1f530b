"""What generators of vector code share: instructions on LLVM vectors, loops, and functions emitted once per module.

Pointers lead to elements; a vector begins anywhere. With a mask, other lanes are neither read nor written, and a load
sets them to zero, so that no lane ever holds what memory happened to contain.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from .machine import cpu_name, features, vector_bytes

I1, I32, I64, VOID = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.VoidType()
HAS_FMA = bool({"fma", "neon", "fp-armv8"} & features())
# Rows of A that a tile reaches from one pointer. LLVM steps from row to row by a chain of additions, which for 14 rows
# lasts 14 cycles: as long as the 28 multiplications of a round on Intel's CPUs, which have two units for them. AMD's
# Zen 4 has one and does not notice, and LLVM's code for it runs out of registers with more pointers.
GROUP = 5 if vector_bytes() == 64 and not cpu_name().startswith("znver") else 16
SCALARS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.int32: I32, types.int64: I64}


def scalar_type(number) -> ir.Type:
    """Return the LLVM type of a Numba type that vectors are made of; TypeError for any other."""
    if number not in SCALARS:
        raise TypeError(f"vectors are made of {', '.join(map(str, SCALARS))}, not of {number}")
    return SCALARS[number]


def call(builder, name, result, *args):
    """Call an LLVM intrinsic, or any function of this name."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def suffix(kind) -> str:
    """Return how LLVM's intrinsics name a type: v16f32, v8i32."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    return f"i{kind.width}" if isinstance(kind, ir.IntType) else f"f{8 * size(kind)}"


def size(kind) -> int:
    """Return the bytes of a number, or of one lane of a vector."""
    kind = getattr(kind, "element", kind)
    return kind.width // 8 if isinstance(kind, ir.IntType) else 4 if kind == ir.FloatType() else 8


def constant(kind, values):
    """Return a vector of constants."""
    return ir.Constant(ir.VectorType(kind, len(values)), list(values))


def splat(builder, value, lanes):
    """Return a vector full of one number."""
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined), value, I32(0))
    return shuffle(builder, one, one, [0] * lanes)


def shuffle(builder, a, b, order):
    """Return lanes of a and b, which are numbered one after the other."""
    return builder.shuffle_vector(a, b, constant(I32, order))


def before(builder, n, lanes, vectors=1):
    """Return a mask per vector of a row: the lanes before number n, which may be negative or beyond the last."""
    total = I64(vectors * lanes)
    n = builder.select(builder.icmp_signed("<", n, total), n, total)
    end = splat(builder, builder.trunc(n, I32), lanes)
    starts = range(0, vectors * lanes, lanes)
    return [builder.icmp_signed("<", constant(I32, range(start, start + lanes)), end) for start in starts]


def load(builder, kind, pointer, mask=None, fill=None):
    """Load a vector; `fill` (zeros) in the lanes without the mask."""
    pointer = builder.bitcast(pointer, kind.as_pointer())
    if mask is None:
        return builder.load(pointer, align=size(kind))
    fill = ir.Constant(kind, None) if fill is None else fill
    return call(builder, f"llvm.masked.load.{suffix(kind)}.p0", kind, pointer, I32(size(kind)), mask, fill)


def store(builder, value, pointer, mask=None):
    """Store the lanes of a vector that the mask names, or all."""
    pointer, align = builder.bitcast(pointer, value.type.as_pointer()), size(value.type)
    if mask is None:
        return builder.store(value, pointer, align=align)
    return call(builder, f"llvm.masked.store.{suffix(value.type)}.p0", VOID, value, pointer, I32(align), mask)


def gather(builder, pointer, indices, mask):
    """Load elements that integers count from a pointer, zeros without the mask."""
    kind = ir.VectorType(pointer.type.pointee, indices.type.count)
    name = f"llvm.masked.gather.{suffix(kind)}.v{kind.count}p0"
    places = _places(builder, pointer, indices)
    return call(builder, name, kind, places, I32(size(kind)), mask, ir.Constant(kind, None))


def scatter(builder, value, pointer, indices, mask):
    """Store lanes to elements that integers count from a pointer."""
    name = f"llvm.masked.scatter.{suffix(value.type)}.v{value.type.count}p0"
    call(builder, name, VOID, value, _places(builder, pointer, indices), I32(size(value.type)), mask)


def _places(builder, pointer, indices):
    wide = ir.VectorType(I64, indices.type.count)
    indices = indices if indices.type == wide else builder.zext(indices, wide)
    offsets = builder.mul(indices, constant(I64, [size(pointer.type.pointee)] * wide.count))
    start = splat(builder, builder.ptrtoint(pointer, I64), wide.count)
    return builder.inttoptr(builder.add(start, offsets), ir.VectorType(pointer.type, wide.count))


def stream(builder, value, pointer):
    """Store a vector at an aligned pointer, bypassing the caches."""
    stored = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=vector_bytes())
    stored.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))


def prefetch(builder, pointer, write=0, near=2):
    """Fetch a cache line, as a rule to read it from the second-level cache (near=3: the first)."""
    pointer = builder.bitcast(pointer, ir.IntType(8).as_pointer())
    call(builder, "llvm.prefetch.p0", VOID, pointer, I32(write), I32(near), I32(1))


def fma(builder, x, y, z):
    """Return x y + z. Without the instruction it is a product and a sum that no optimizer takes apart."""
    return call(builder, f"llvm.{'fma' if HAS_FMA else 'fmuladd'}.{suffix(x.type)}", x.type, x, y, z)


def not_below(builder, floor, value):
    """Return the larger of two vectors. This order of operands lets a NaN value pass, in one instruction (maxps)."""
    return builder.select(builder.fcmp_ordered(">", floor, value), floor, value)


def sum_of_lanes(builder, value):
    """Return the sum of all lanes, added in halves."""
    step = value.type.count // 2
    while step:
        other = shuffle(builder, value, value, [lane ^ step for lane in range(value.type.count)])
        value, step = builder.fadd(value, other), step // 2
    return builder.extract_element(value, I32(0))


def loop(builder, count, values, body, nonempty=False):
    """Emit `values = body(builder, i, values)` for i < count, and return the last values. nonempty: count is not 0."""
    origin = builder.block
    head, end = builder.append_basic_block("loop"), builder.append_basic_block("done")
    if nonempty:
        builder.branch(head)
    else:
        builder.cbranch(builder.icmp_signed(">", count, I64(0)), head, end)
    builder.position_at_end(head)
    i, phis = builder.phi(I64), [builder.phi(value.type) for value in values]
    following = body(builder, i, phis)
    i_next, last = builder.add(i, I64(1)), builder.block
    for phi, first, later in zip([i, *phis], [I64(0), *values], [i_next, *following], strict=True):
        phi.add_incoming(first, origin)
        phi.add_incoming(later, last)
    builder.cbranch(builder.icmp_signed("<", i_next, count), head, end)
    builder.position_at_end(end)
    if nonempty:
        return following
    results = [builder.phi(value.type) for value in values]
    for result, first, later in zip(results, values, following, strict=True):
        result.add_incoming(first, origin)
        result.add_incoming(later, last)
    return results


def no_unroll(builder):
    """Keep LLVM from unrolling the loop around: what is convergent it may not copy."""
    nothing = builder.asm(ir.FunctionType(VOID, []), "", "", [], side_effect=True)
    nothing.attributes.add("convergent")


def once(module, name, arguments, emit) -> ir.Function:
    """Return the function `name` of a module, whose body `emit(builder, *arguments)` writes at the first use."""
    if name not in module.globals:
        function = ir.Function(module, ir.FunctionType(VOID, arguments), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        emit(builder, *function.args)
        builder.ret_void()
    return module.globals[name]


def dispatch(builder, name, key, cases, values):
    """Call the one of `cases` (number -> function, all with the same arguments) that `key` chooses, or none.

    The choice is a function of its own, so a module has it once, however many callers there are.
    """

    def emit(builder, key, *values):
        end = builder.append_basic_block("end")
        switch = builder.switch(key, end)
        for number, function in cases.items():
            switch.add_case(I64(number), builder.append_basic_block())
            builder.position_at_end(builder.function.blocks[-1])
            builder.call(function, values).tail = "tail"
            builder.ret_void()
        builder.position_at_end(end)

    builder.call(once(builder.module, name, [I64, *(v.type for v in values)], emit), [key, *values])


class Tile:
    """Emits vector code for one dtype into a module: the base of all tiles."""

    def __init__(self, module, number):
        self.module, self.scalar = module, scalar_type(number)
        self.lanes = vector_bytes() // size(self.scalar)
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.zero, self.suffix = ir.Constant(self.vector, None), suffix(self.vector)

    def once(self, name, arguments, emit):
        """Return the function of a name and this dtype; see `once`."""
        return once(self.module, f"{name}.{self.suffix}", arguments, emit)

    def pointer(self, builder, address):
        """Return the pointer to numbers at an address."""
        return builder.inttoptr(address, self.scalar.as_pointer())

    def rows(self, builder, pointer, stride, count):
        """Return pointers to `count` rows, `stride` elements apart."""
        return [builder.gep(pointer, [builder.mul(stride, I64(i))]) for i in range(count)]

    def bases(self, builder, pointer, stride, count):
        """Return pointers to every GROUP-th of `count` rows, to advance in a loop; see `spread`."""
        starts = [builder.gep(pointer, [builder.mul(stride, I64(i))]) for i in range(0, count, GROUP)]
        if len(starts) == 1:
            return [pointer]
        kind = ir.FunctionType(pointer.type, [pointer.type])  # LLVM shall take them for unrelated
        return [builder.asm(kind, "", "=r,0", [start], side_effect=False) for start in starts]

    def spread(self, builder, bases, stride, count):
        """Return pointers to all rows."""
        return [builder.gep(bases[i // GROUP], [builder.mul(stride, I64(i % GROUP))]) for i in range(count)]

    def at(self, builder, pointer, j):
        """Return the pointer to vector j of a row."""
        return builder.gep(pointer, [I64(j * self.lanes)])

    def load(self, builder, pointer, j=0, mask=None):
        """Load vector j of a row."""
        return load(builder, self.vector, self.at(builder, pointer, j), mask)

    def store(self, builder, value, pointer, j=0, mask=None):
        """Store vector j of a row."""
        store(builder, value, self.at(builder, pointer, j), mask)

    def stream(self, builder, value, pointer, j=0):
        """Store vector j of a row, bypassing the caches."""
        stream(builder, value, self.at(builder, pointer, j))

    def splat(self, builder, value):
        """Return a vector full of one number."""
        return splat(builder, value, self.lanes)
