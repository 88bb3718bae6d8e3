import test from "node:test";
import { recount } from "./recount.ts";

test("2000 random incidents: their facts and days are a recount of timeline and pages", (t) => recount(t, 2000));
