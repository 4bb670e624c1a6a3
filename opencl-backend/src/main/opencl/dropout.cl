// Random words and dropout: a work-item to a block of four words.

#ifdef KERNEL_random
kernel void random(IN(I32, state), const int stream, OUT(Y, y), const INDEX count) {
  FROM(state);
  FROM(y);
  const INDEX block = (INDEX)get_global_id(0);
  const INDEX first = 4 * block;
  if (first >= count) return;
  const uint4 four = philox_words(state, stream, (ulong)block);
  const uint words[4] = {four.s0, four.s1, four.s2, four.s3};
  for (int k = 0; k < 4 && first + k < count; k++) {
#if IS_FLOAT(Y)
    STORE(Y, y, first + k, (float)(words[k] >> 9) * 0x1p-23f);
#else
    y[first + k] = (int)words[k];
#endif
  }
}
#endif

#ifdef KERNEL_dropout
// y = x·scale where the element's word is at least threshold, else 0.
kernel void dropout(
    IN(X, x),
    OUT(Y, y),
    IN(I32, state),
    const int stream,
    const int threshold,
    const float scale,
    const INDEX count) {
  FROM(x);
  FROM(y);
  FROM(state);
  const INDEX block = (INDEX)get_global_id(0);
  const INDEX first = 4 * block;
  if (first >= count) return;
  const uint4 four = philox_words(state, stream, (ulong)block);
  const uint words[4] = {four.s0, four.s1, four.s2, four.s3};
  for (int k = 0; k < 4 && first + k < count; k++) {
    const float value = words[k] >= (uint)threshold ? LOAD(X, x, first + k) * scale : 0.0f;
    STORE(Y, y, first + k, value);
  }
}
#endif
