"""The way to the tracker: found, opened, asked. Protobuf and gRPC stay in here; plain values come in and go out."""
