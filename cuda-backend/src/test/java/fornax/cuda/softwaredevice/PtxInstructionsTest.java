package fornax.cuda.softwaredevice;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import jcuda.driver.CUdeviceptr;
import org.junit.jupiter.api.Test;

/// One line for each instruction: what it does to three operands. `%r` are registers of 32 bits,
/// `%h` of 16, `%l` of 64, `%p` predicates; the first operand receives the result.
class PtxInstructionsTest {
  /// @param text the instruction
  /// @param operands the values of registers 1, 2, 3, in every width
  /// @param expected the result's bits
  @SuppressWarnings("ArrayRecordComponent") // made, read and dropped
  private record Row(String text, long[] operands, long expected) {}

  private final List<Row> rows = new ArrayList<>();

  private void row(String text, long expected, long... operands) {
    var three = new long[3];
    System.arraycopy(operands, 0, three, 0, operands.length);
    rows.add(new Row(text, three, expected));
  }

  private static long f(float x) {
    return Float.floatToRawIntBits(x) & 0xffffffffL;
  }

  private static long d(double x) {
    return Double.doubleToRawLongBits(x);
  }

  private static long i(int x) {
    return x & 0xffffffffL;
  }

  private static long h(float x) {
    return Float.floatToFloat16(x) & 0xffffL;
  }

  private static final float TINY = Float.MIN_NORMAL / 2;
  private static final long NAN = 0x7fc00000L;

  @Test
  void integers() {
    row("add.s32 %r0, %r1, %r2;", i(-1), 2, -3);
    row("sub.u64 %l0, %l1, %l2;", -1, 2, 3);
    row("mul.lo.s32 %r0, %r1, %r2;", 0x20001, 65537, 65537);
    row("mul.lo.u16 %h0, %h1, %h2;", 1, 65535, 65535);
    row("mul.hi.s32 %r0, %r1, %r2;", i(-1), -1, 5);
    row("mul.hi.u32 %r0, %r1, %r2;", 4, -1, 5);
    row("mul.hi.u64 %l0, %l1, %l2;", 4, -1, 5);
    row("mul.wide.s32 %l0, %r1, %r2;", -5, -1, 5);
    row("mul.wide.u32 %l0, %r1, %r2;", 0xffffffffL * 5, -1, 5);
    row("mul.wide.u16 %r0, %h1, %h2;", 65535L * 3, 65535, 3);
    row("mad.lo.s32 %r0, %r1, %r2, %r3;", i(-11), -3, 4, 1);
    row("mad.wide.u32 %l0, %r1, %r2, %l3;", 0xffffffffL * 2 + 7, -1, 2, 7);
    row("mad.hi.u32 %r0, %r1, %r2, %r3;", 4 + 9, -1, 5, 9);
    row("add.cc.u32 %r0, %r1, %r2; addc.u32 %r0, %r3, 0;", 8, -1, 1, 7);
    row("sub.cc.u32 %r0, %r1, %r2; subc.u32 %r0, %r3, 0;", 6, 0, 1, 7);
    row("div.s32 %r0, %r1, %r2;", i(-3), -7, 2);
    row("div.u32 %r0, %r1, %r2;", 0xffffffffL, 7, 0);
    row("rem.s32 %r0, %r1, %r2;", i(-1), -7, 2);
    row("rem.u64 %l0, %l1, %l2;", 3, 43, 5);
    row("min.s32 %r0, %r1, %r2;", i(-7), -7, 2);
    row("max.u32 %r0, %r1, %r2;", i(-7), -7, 2);
    row("abs.s32 %r0, %r1;", 7, -7);
    row("neg.s64 %l0, %l1;", 7, -7);
    row("not.b32 %r0, %r1;", 0xfffffff8L, 7);
    row("cnot.b32 %r0, %r1;", 1, 0);
    row("xor.b64 %l0, %l1, %l2;", 5 ^ 6L << 40, 5, 6L << 40);
    row("shl.b32 %r0, %r1, %r2;", 0, 1, 32);
    row("shl.b64 %l0, %l1, %r2;", 1L << 40, 1, 40);
    row("shr.s32 %r0, %r1, %r2;", i(-1), -5, 40);
    row("shr.u32 %r0, %r1, %r2;", 0, -5, 32);
    row("shr.u64 %l0, %l1, 60;", 15, -5);
    row("shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 0x21, 0x80000000, 0x10, 33);
    row("shf.r.clamp.b32 %r0, %r1, %r2, %r3;", 0x10, 0x80000000, 0x10, 40);
    row("shf.r.wrap.b32 %r0, %r1, %r2, 4;", 0x2fffffffL, -1, 0x12);
    row("popc.b32 %r0, %r1;", 3, 0x10101);
    row("popc.b64 %r0, %l1;", 64, -1);
    row("clz.b32 %r0, %r1;", 32, 0);
    row("clz.b64 %r0, %l1;", 23, 1L << 40);
    row("brev.b32 %r0, %r1;", 0x80000000L, 1);
    row("bfe.u32 %r0, %r1, 4, 8;", 0x23, 0x1234);
    row("bfe.s32 %r0, %r1, 4, 8;", i(-13), 0xf3f);
    row("bfe.s32 %r0, %r1, 28, 8;", i(-1), 0xf0000000);
    row("bfi.b32 %r0, %r1, %r2, 8, 8;", 0x11ab22, 0xab, 0x11ff22);
    row("bfind.u32 %r0, %r1;", 12, 0x1234);
    row("bfind.s32 %r0, %r1;", 2, -5);
    row("bfind.u32 %r0, %r1;", 0xffffffffL, 0);
    row("lop3.b32 %r0, %r1, %r2, %r3, 0x96;", 1 ^ 3 ^ 12, 1, 3, 12);
    row("lop3.b32 %r0, %r1, %r2, %r3, 0xe8;", 0b1110, 0b1010, 0b1100, 0b0110);
    row("prmt.b32 %r0, %r1, %r2, 0x5410;", 0x22221111L, 0xaaaa1111, 0xbbbb2222);
    row("prmt.b32 %r0, %r1, %r2, 0xf3d7;", 0xff110088L, 0x11223344, 0x88776655);
    row("dp4a.s32.s32 %r0, %r1, %r2, %r3;", i(1 - 4 + 9 + 16 + 5), 0x040302ff, 0x0403feff, 5);
    row("selp.b32 %r0, %r1, %r2, %p1;", 9, 9, 0, 1);
    row("slct.s32.s32 %r0, %r1, %r2, %r3;", 2, 1, 2, -1);
    row("mov.b64 %l0, {%r1, %r2};", 7L | 9L << 32, 7, 9);
    row("mov.b32 {%h0, _}, %r1;", 0x5678, 0x12345678);
    row("mov.b32 {_, %h0}, %r1;", 0x1234, 0x12345678);
    row("setp.lt.s32 %p0, %r1, %r2;", 1, -1, 0);
    row("setp.lo.u32 %p0, %r1, %r2;", 0, -1, 0);
    row("setp.lt.and.s32 %p0, %r1, %r2, !%p2;", 1, -1, 0);
    row("set.eq.u32.s32 %r0, %r1, %r2;", 0xffffffffL, 3, 3);
    check();
  }

  @Test
  void floatingPoint() {
    row("add.f32 %r0, %r1, %r2;", f(1.1f + 2.2f), f(1.1f), f(2.2f));
    row("add.rz.f32 %r0, %r1, %r2;", f(1), f(1), f(0x1.8p-24f));
    row("add.rp.f32 %r0, %r1, %r2;", f(Math.nextUp(1f)), f(1), f(0x1p-40f));
    row("mul.rm.f32 %r0, %r1, %r2;", f(0x1.000002p0f), f(0x1.000002p0f), f(1));
    row("mul.ftz.f32 %r0, %r1, %r2;", f(0), f(TINY), f(2));
    row("mul.f32 %r0, %r1, %r2;", f(2 * TINY), f(TINY), f(2));
    row("mul.sat.f32 %r0, %r1, %r2;", f(1), f(3), f(2));
    row(
        "fma.rn.f32 %r0, %r1, %r2, %r3;",
        f(Math.fma(1.1f, 1.3f, -1.43f)), f(1.1f), f(1.3f), f(-1.43f));
    row("fma.rm.f32 %r0, %r1, %r2, %r3;", f(1), f(0x1p-20f), f(0x1p-20f), f(1));
    row("fma.rp.f32 %r0, %r1, %r2, %r3;", f(Math.nextUp(1f)), f(0x1p-20f), f(0x1p-20f), f(1));
    row("fma.rn.f64 %l0, %l1, %l2, %l3;", d(Math.fma(1.1, 1.3, -1.43)), d(1.1), d(1.3), d(-1.43));
    row("div.rn.f32 %r0, %r1, %r2;", f(1f / 3), f(1), f(3));
    row("div.full.f32 %r0, %r1, %r2;", f(2f / 3), f(2), f(3));
    row("sqrt.rn.f32 %r0, %r1;", f((float) Math.sqrt(2)), f(2));
    row("rsqrt.approx.f32 %r0, %r1;", f(0.25f), f(16));
    row("rcp.approx.ftz.f32 %r0, %r1;", f(0.125f), f(8));
    row("ex2.approx.ftz.f32 %r0, %r1;", f(8), f(3));
    row("lg2.approx.f32 %r0, %r1;", f(3), f(8));
    row("tanh.approx.f32 %r0, %r1;", f(1), f(20));
    row("cos.approx.f32 %r0, %r1;", f(1), f(0));
    row("min.f32 %r0, %r1, %r2;", f(3), NAN, f(3));
    row("max.f32 %r0, %r1, %r2;", f(0), f(-0f), f(0));
    row("min.f32 %r0, %r1, %r2;", f(-0f), f(0), f(-0f));
    row("max.NaN.f32 %r0, %r1, %r2;", NAN, f(3), NAN);
    row("abs.f32 %r0, %r1;", f(3), f(-3));
    row("neg.f32 %r0, %r1;", f(-0f), f(0));
    row("copysign.f32 %r0, %r1, %r2;", f(-3), f(-1), f(3));
    row("testp.infinite.f32 %p0, %r1;", 1, f(Float.NEGATIVE_INFINITY));
    row("setp.lt.f32 %p0, %r1, %r2;", 0, NAN, f(3));
    row("setp.ltu.f32 %p0, %r1, %r2;", 1, NAN, f(3));
    row("setp.neu.f32 %p0, %r1, %r2;", 1, NAN, NAN);
    row("setp.ne.f32 %p0, %r1, %r2;", 0, NAN, NAN);
    row("setp.nan.f32 %p0, %r1, %r2;", 1, NAN, f(1));
    row("setp.eq.ftz.f32 %p0, %r1, %r2;", 1, f(TINY), f(0));
    row("add.f16x2 %r0, %r1, %r2;", h(3) | h(-1) << 16, h(1) | h(1) << 16, h(2) | h(-2) << 16);
    row("fma.rn.f16 %h0, %h1, %h2, %h3;", h(7), h(2), h(3), h(1));
    row("fma.rn.bf16 %h0, %h1, %h2, %h3;", f(7) >> 16, f(2) >> 16, f(3) >> 16, f(1) >> 16);
    row("max.bf16x2 %r0, %r1, %r2;", f(2) >> 16 | f(5), f(2) >> 16 | f(3), f(1) >> 16 | f(5));
    check();
  }

  @Test
  void conversions() {
    row("cvt.rn.f32.s32 %r0, %r1;", f(16777216), 16777217);
    row("cvt.rz.f32.u32 %r0, %r1;", f(Math.nextDown(4294967296f)), -1);
    row("cvt.rn.f64.u64 %l0, %l1;", d(0x1p64), -1);
    row("cvt.rzi.s32.f32 %r0, %r1;", i(-2), f(-2.7f));
    row("cvt.rni.s32.f32 %r0, %r1;", 2, f(2.5f));
    row("cvt.rmi.s32.f32 %r0, %r1;", i(-3), f(-2.2f));
    row("cvt.rpi.s32.f32 %r0, %r1;", i(-2), f(-2.7f));
    row("cvt.rzi.s32.f32 %r0, %r1;", 0x7fffffffL, f(1e20f));
    row("cvt.rzi.u32.f32 %r0, %r1;", 0, f(-5));
    row("cvt.rzi.s32.f32 %r0, %r1;", 0, NAN);
    row("cvt.rzi.s64.f32 %l0, %r1;", 1L << 40, f(0x1p40f));
    row("cvt.rni.f32.f32 %r0, %r1;", f(-4), f(-3.5f));
    row("cvt.rmi.f32.f32 %r0, %r1;", f(-4), f(-3.5f));
    row("cvt.sat.f32.f32 %r0, %r1;", f(0), f(-3.5f));
    row("cvt.rn.f32.f64 %r0, %l1;", f((float) 0.1), d(0.1));
    row("cvt.f64.f32 %l0, %r1;", d(0.1f), f(0.1f));
    row("cvt.u32.u16 %r0, %h1;", 0xffff, -1);
    row("cvt.s32.s16 %r0, %h1;", i(-1), -1);
    row("cvt.s64.s32 %l0, %r1;", -5, -5);
    row("cvt.u64.u32 %l0, %r1;", i(-5), -5);
    row("cvt.u8.u32 %r0, %r1;", 0x34, 0x1234);
    row("cvt.sat.s8.s32 %r0, %r1;", i(-128), -1000);
    row("cvt.rna.tf32.f32 %r0, %r1;", f(0x1.004p0f), f(0x1.002p0f));
    row("cvt.f32.bf16 %r0, %h1;", f(-1.5f), f(-1.5f) >> 16);
    row("cvt.rn.bf16.f32 %h0, %r1;", 0x3f80, f(0x1.01p0f));
    row("cvt.rn.bf16.f32 %h0, %r1;", 0x3f82, f(0x1.03p0f));
    row("cvt.rz.bf16.f32 %h0, %r1;", 0x3f80, f(0x1.01fep0f));
    row("cvt.rn.bf16x2.f32 %r0, %r1, %r2;", f(2) | f(1) >> 16, f(2), f(1));
    row("cvt.rn.f16x2.f32 %r0, %r1, %r2;", h(2) << 16 | h(1), f(2), f(1));
    for (float x :
        new float[] {
          0,
          -0f,
          1,
          0.1f,
          65504,
          65519,
          65520,
          1e9f,
          0x1p-24f,
          0x1p-25f,
          0x1.8p-25f,
          6e-5f,
          0x1.002p0f,
          0x1.006p0f,
          Float.POSITIVE_INFINITY,
          -3.14159f
        }) {
      row("cvt.rn.f16.f32 %h0, %r1;", h(x), f(x));
      row("cvt.f32.f16 %r0, %h1;", f(Float.float16ToFloat((short) h(x))), h(x));
    }
    check();
  }

  @Test
  void whatIsNotSupported_isRefusedByNameAndLine() {
    row("mbarrier.arrive.shared.b64 %l0, [%l1];", 0);
    try (var gpu = new Gpu()) {
      var fault = assertThrows(Gpu.Fault.class, () -> gpu.function(ptx(), "rows"));
      String message = String.valueOf(fault.getMessage());
      assertTrue(message.contains("`mbarrier.arrive.shared.b64` is not supported"), message);
      assertTrue(message.matches("(?s).*PTX line \\d+: mbarrier.arrive.*"), message);
    }
    rows.clear();
    row("add.rn.sat.s32 %r0, %r1, %r2;", 0);
    try (var gpu = new Gpu()) {
      var fault = assertThrows(Gpu.Fault.class, () -> gpu.function(ptx(), "rows"));
      assertTrue(String.valueOf(fault.getMessage()).contains("add.rn.sat.s32"), fault.getMessage());
    }
  }

  private String ptx() {
    var text =
        new StringBuilder(
            """
            .version 8.5
            .target sm_80
            .address_size 64
            .visible .entry rows(.param .u64 in, .param .u64 out) {
            .reg .pred %p<4>; .reg .b16 %h<4>; .reg .b32 %r<4>; .reg .b64 %l<4>;
            .reg .b64 from, to;
            ld.param.u64 from, [in]; ld.param.u64 to, [out];
            """);
    for (int n = 0; n < rows.size(); n++) {
      for (int k = 1; k <= 3; k++) {
        text.append("ld.global.u64 %%l%d, [from+%d];%n".formatted(k, 24 * n + 8 * (k - 1)))
            .append("cvt.u32.u64 %%r%1$d, %%l%1$d; cvt.u16.u64 %%h%1$d, %%l%1$d;".formatted(k))
            .append(" setp.ne.u32 %%p%1$d, %%r%1$d, 0;%n".formatted(k));
      }
      String instruction = rows.get(n).text();
      text.append("mov.u32 %r0, 0; mov.u64 %l0, 0; mov.u16 %h0, 0; setp.ne.u32 %p0, 0, 0;\n")
          .append(instruction)
          .append('\n');
      String result = instruction.replaceFirst("(?s).*?%([rhlp])0.*", "$1");
      text.append(
              switch (result) {
                case "r" -> "cvt.u64.u32 %l0, %r0;";
                case "h" -> "cvt.u64.u16 %l0, %h0;";
                case "p" -> "selp.b64 %l0, 1, 0, %p0;";
                default -> "";
              })
          .append("st.global.u64 [to+%d], %%l0;%n".formatted(8 * n));
    }
    return text.append("ret;\n}\n").toString();
  }

  private void check() {
    try (var gpu = new Gpu()) {
      var operands = new long[3 * rows.size()];
      for (int n = 0; n < rows.size(); n++) {
        System.arraycopy(rows.get(n).operands(), 0, operands, 3 * n, 3);
      }
      CUdeviceptr out = gpu.allocate(8L * rows.size());
      gpu.run(gpu.function(ptx(), "rows"), Gpu.Shape.of(1, 1), gpu.upload(operands), out);
      long[] results = gpu.longs(out, rows.size());
      for (int n = 0; n < rows.size(); n++) {
        Row row = rows.get(n);
        assertEquals(Long.toHexString(row.expected()), Long.toHexString(results[n]), row.text());
      }
    }
  }
}
