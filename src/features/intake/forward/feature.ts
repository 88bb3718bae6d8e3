import { feature } from "../../../module/feature.ts";
import { sealedColumn } from "../../../store/sealed-column.ts";
import { forwardFindings } from "./findings.ts";
import { Forwarding, requestSealContext } from "./forwards.ts";

/** Receivers or integrations. */
interface SourcesChange {
  readonly changed?: readonly { readonly id: string }[];
  readonly deleted?: readonly string[];
}

declare module "../../../module/feature.ts" {
  interface Offers {
    /** Passes requests of mirrors on. */
    readonly forwarding: Forwarding;
  }
}

/** Requests at receivers and integrations of mirrors, passed on to the system that still notifies people. */
export const forwardFeature = feature("forward", {
  needs: ["projects", "outside"],
  open: (context) => ({ forwarding: new Forwarding({ ...context, log: context.log.namespace("forward") }) }),
  effects: ({ forwarding }) => {
    const sourcesChanged = ({ changed = [], deleted = [] }: SourcesChange): void =>
      forwarding.sourcesChanged([...changed.map(({ id }) => id), ...deleted]);
    return {
      "forwards-changed": (change) => forwarding.changed(change),
      "receivers-changed": sourcesChanged,
      "integrations-changed": sourcesChanged,
    };
  },
  sealedColumns: [sealedColumn("forwards", "request", requestSealContext)],
  load: ({ forwarding }) => forwarding.load(),
  dueWork: ({ forwarding }) => [forwarding.due],
  stop: ({ forwarding }) => forwarding.stop(),
  findings: forwardFindings,
});
