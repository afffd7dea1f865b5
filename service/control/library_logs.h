// What gRPC and protobuf complain of becomes events like all others; protobuf would write to
// standard error, a line for every message that is no UTF-8.
//
// Place in the flow: the server and the client call it before they use gRPC. Threads: any; it is a
// switch of the whole process, set once.
#pragma once

namespace penstock::control {

void take_over_library_logs();

}  // namespace penstock::control
