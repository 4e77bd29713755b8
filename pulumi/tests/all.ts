// In one process, for the stacks are made once: `node --test build/tests/all.js`.

import "./config";
import "./cost";
import "./events";
import "./policies";
import "./stacks";
