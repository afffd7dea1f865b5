// gRPC's own complaints become events like all others.
//
// Place in the flow: the server and the client call it before they use gRPC. Threads: any; it is a
// switch of the whole process, set once.
#pragma once

namespace penstock::control {

void take_over_grpc_log();

}  // namespace penstock::control
