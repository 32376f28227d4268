"""The agent: what runs on a board. It never imports tvm, numpy or the tracker."""
