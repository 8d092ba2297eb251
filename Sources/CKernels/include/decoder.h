// A recurrent decoder that reads what it wrote; the rules of ckernels.h apply.
#ifndef CKERNELS_DECODER_H
#define CKERNELS_DECODER_H

#include <stddef.h>
#include <stdint.h>

enum { CK_DECODER_LAYERS = 16 };

// LSTM layers one above another, of which the first reads one number: at the first step `start`, then the
// output `fed` of the step before. With attention (Luong et al. 2015, "general"): the top layer's h looks at
// the `memory` rows e of an encoder,
//   a = softmax over i of (h query) . e_i,   context = sum of a_i e_i,
//   z = tanh(context combine_1 + h combine_2),   y = z out + out_bias,
// and without it y = h out + out_bias.
struct ck_decoder {
  ptrdiff_t steps, batch, width, layers, outputs;
  // Rows of the encoder; 0: no attention.
  ptrdiff_t memory;
  ptrdiff_t fed;
  // What is read is start + y, as if y were a difference from it.
  int adds_start;
};

// Operands, natural and dense:
//   start [batch], out [width][outputs], out_bias [outputs],
//   for each layer h0 and c0 [batch][width], w [inputs][4 width], r [width][4 width], bias [4 width], and
//   with attention e [memory][batch][width], query [width][width], combine [2 width][width].
// Results:
//   y [batch][steps][outputs], for each layer the last h and c [batch][width], and
//   with attention a [batch][steps][memory].
enum { CK_DECODER_START, CK_DECODER_OUT, CK_DECODER_OUT_BIAS, CK_DECODER_FIRST_LAYER };
enum { CK_DECODER_H, CK_DECODER_C, CK_DECODER_W, CK_DECODER_R, CK_DECODER_BIAS, CK_DECODER_PER_LAYER };

/// Elements of the tape and of scratch memory, aligned to 64 bytes.
ptrdiff_t ck_decoder_tape(int type, const struct ck_decoder *s);
ptrdiff_t ck_decoder_scratch(int type, const struct ck_decoder *s);
void ck_decoder_forward(int type, const struct ck_decoder *s, const void *const *operands, void *const *results,
                        void *tape, void *scratch);
// Gradients of the operands are added; any of them, and of those of the results, may be NULL. Overwrites the tape.
void ck_decoder_backward(int type, const struct ck_decoder *s, const void *const *operands,
                         void *const *results, const void *const *dresults, void *const *gradients, void *tape,
                         void *scratch);

#endif
