import { countText } from "../../../core/text/clean-text.ts";
import type { Uses } from "../../../module/feature.ts";
import type { FeatureFindings } from "../../../module/findings.ts";
import { pendingUsers } from "./queries.ts";

/** Accounts that wait for a person. */
export const userFindings: FeatureFindings<Uses<"db">> = {
  permission: "users:approve",
  async shownTo({ db }) {
    const { count, since } = await pendingUsers(db.scan);
    if (count === 0) return [];
    return [
      {
        ...{ code: "approvals", severity: "info", since },
        text: `${countText(count, "account is", "accounts are")} pending`,
        shown: {
          ...{ kind: "approvals", key: "approvals", link: "/people/pending" },
          detail: "for approval, or for the invited person to open it",
          counts: { pending: count },
        },
      },
    ];
  },
};
