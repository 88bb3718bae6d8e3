import "./account.css";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { href } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import type { Me } from "../../app/session.ts";
import { Page, Tabs } from "../../ui/index.ts";
import { ACCOUNT_TABS, type AccountTab } from "./tabs.ts";

/** The account as `GET /api/v1/users/me` returns it to its owner. */
export interface OwnAccount extends Me {
  readonly secondFactor?: {
    readonly enabled: boolean;
    readonly since: string | null;
    readonly recoveryCodesLeft: number;
  };
}

export function useAccount() {
  return useGet<OwnAccount>("/users/me");
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
