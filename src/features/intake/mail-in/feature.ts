import { feature } from "../../../module/feature.ts";
import { mailBounces } from "../../delivery/index.ts";
import { MailListener } from "./listener.ts";

declare module "../../../module/feature.ts" {
  interface Offers {
    mailIn: MailListener;
  }
}

/** Mails to receivers. Its port opens with the others of the server. */
export const mailInFeature = feature("mail-in", {
  needs: ["alerts", "incidents", "receivers", "preparing", "forwarding", "projects", "pages"],
  open(context) {
    const config = () => context.settings.current;
    return {
      mailIn: new MailListener({
        ...{ ...context, config, bounces: mailBounces(context.pages, config) },
        storage: context.projects.storage,
        log: context.log.namespace("mail-in"),
        requireSpace: () => context.storage.requireSpace(),
      }),
    };
  },
  reload: ({ mailIn }) => mailIn.reload(),
});
