// The discovery log's fields in nvme-cli's words, for tables and JSON that its users know.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/fabrics/discovery.h"

namespace weft::app {

/// What is not known is "unrecognized".
std::string_view word_of(fabrics::Trtype type);
std::string_view word_of(fabrics::Adrfam family);
std::string_view word_of(fabrics::Subtype subtype);
std::string_view word_of(fabrics::Sectype type);
std::string_view word_of(fabrics::RdmaPrtype type);
std::string_view word_of(fabrics::RdmaQptype type);
std::string_view rdma_cms_word(uint8_t cms);
std::string treq_words(uint8_t treq);
std::string eflags_words(uint16_t eflags);

}  // namespace weft::app
