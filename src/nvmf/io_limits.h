// Bounds of I/O commands that move no data, so that MDTS does not bound them: announced by Identify (CNS 06h) and held to by the I/O
// commands. NVM Command Set 1.0 §4.1.5.2.
#pragma once
#include <cstdint>

namespace weft::nvmf {

inline constexpr uint64_t kWriteZeroesBytesMax = 32 << 20;  // WZSL: a power of two times 4 KiB
inline constexpr uint64_t kVerifyBytesMax = 32 << 20;       // VSL: a power of two times 4 KiB
inline constexpr uint32_t kDeallocateRangeBlocksMax = 1 << 23;  // DMRSL: logical blocks of one range; advice: longer ones are done too
inline constexpr uint64_t kDeallocateBlocksMax = 1 << 23;       // DMSL: logical blocks of all ranges of a command

}  // namespace weft::nvmf
