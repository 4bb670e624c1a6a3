package fornax.cuda;

import jcuda.driver.CUfunction;

/// A kernel that has been loaded on a device.
///
/// @param file the file it comes from, without `.cu`
record Kernel(String file, String name, CUfunction function) {}
