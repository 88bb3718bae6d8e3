#!/usr/bin/env node
import "../scripts/node-version.mjs";
import { main } from "../src/cli/main.ts";

// Node 20 may loop for ever while it frees what an ended process has left.
process.once("beforeExit", () => process.exit());
await main(process.argv);
