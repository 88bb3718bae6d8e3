import "./account.css";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { User } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import { Page, Tabs } from "../../ui/index.ts";
import { ACCOUNT_TABS, type AccountTab } from "./tabs.ts";

export function useAccount() {
  return useGet<User>("/users/me");
}

interface AccountPageProps {
  readonly tab: AccountTab;
  readonly subtitle?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}

/** The frame of the account's pages. */
export function AccountPage({ tab, subtitle, actions, children }: AccountPageProps) {
  const tabs = ACCOUNT_TABS.map(({ value, label, path }) => ({ value, label, href: href(path) }));
  useEffect(() => {
    // On a phone the row of tabs is wider than the screen.
    document.querySelector(".page-tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [tab]);
  const label = ACCOUNT_TABS.find(({ value }) => value === tab)?.label ?? "";
  return (
    <Page
      title="Account"
      documentTitle={`${label} · Account`}
      subtitle={subtitle}
      actions={actions}
      tabs={<Tabs label="Account" value={tab} tabs={tabs} />}
      width="narrow"
    >
      {children}
    </Page>
  );
}
