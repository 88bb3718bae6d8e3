import { feature } from "../../../module/feature.ts";
import { EmergencyWatch } from "./watch.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly emergencyWatch: EmergencyWatch;
  }
}

/** The last resort when Prism itself cannot reach anyone. */
export const emergencyFeature = feature("emergency", {
  needs: ["emergency", "findings"],
  findings: { stored: () => import("./doctor.ts") },
  open: (context) => ({ emergencyWatch: new EmergencyWatch({ ...context, log: context.log.namespace("emergency") }) }),
  async start({ emergency, emergencyWatch }) {
    emergencyWatch.start();
    await emergency.prepare();
  },
  reload: ({ emergencyWatch }) => emergencyWatch.start(),
  stop: ({ emergencyWatch }) => emergencyWatch.stop(),
});
