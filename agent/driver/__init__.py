"""One device at work: what its session decides is carried out here, and the session is told what came of it."""
