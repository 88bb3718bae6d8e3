import { feature } from "../../../module/feature.ts";
import { ErrorAlert } from "./error-alert.ts";

/** Alerts the people of a project of errors in quick succession. It has no routes. */
export const errorAlertFeature = feature("error-alert", {
  needs: ["runner", "jobs", "announcer", "projects", "users", "notify", "silences"],
  register: (_server, context) => new ErrorAlert(context).start(),
});
