/* 32-bit ARM of the first generation cannot divide: compiled kernels import functions for it by these names. The
 * compiler turns each body into a call of its own private one. */
#ifdef __arm__
int __divsi3(int left, int right);
unsigned __udivsi3(unsigned left, unsigned right);

int __divsi3(int left, int right) { return left / right; }
unsigned __udivsi3(unsigned left, unsigned right) { return left / right; }
#endif
