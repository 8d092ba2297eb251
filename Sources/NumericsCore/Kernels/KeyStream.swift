import CKernels

/// The key stream of ChaCha20, by the kernels of the processor's level; who may see it is up to the caller.
package enum KeyStream {
  /// - Parameters:
  ///   - key: 8 words.
  ///   - nonce: 3 words.
  ///   - counter: of the first block.
  ///   - groups: of four blocks of 16 words, a multiple of 4; word w of block b of a group comes at `4 w + b`.
  package static func fill(
    key: UnsafePointer<UInt32>, nonce: UnsafePointer<UInt32>, counter: UInt32, groups: Int,
    into words: UnsafeMutablePointer<UInt32>
  ) {
    ck_chacha20(key, nonce, counter, groups, words)
  }
}
