import type { AppModule } from "../../app/module.ts";
import { Digests } from "./digests.ts";

/** Tells the people of a project what happened in a day (contract 7, Digest; S1's digest worker). It has no routes. */
const digest: AppModule = {
  name: "digest",
  version: "1.0.0",
  register(_server, services) {
    return new Digests(services).start();
  },
};

export default digest;
