"""TVM Farm: tracker."""
