#pragma once

#include "aio/resolver.h"

namespace lazaret::webhook {

using aio::Addresses;
using aio::Lookup;
using aio::LookUp;
using aio::Resolver;

}  // namespace lazaret::webhook
