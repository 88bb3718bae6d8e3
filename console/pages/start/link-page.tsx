import { CircleCheck } from "lucide";
import type { ComponentChildren } from "preact";
import { href } from "../../app/base.ts";
import { session } from "../../app/session.ts";
import { Banner, Button, EmptyState } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { linkToken } from "./link-token.ts";

/** The result of a link, and where to go next. */
export function Done({ text, title }: { readonly title: string; readonly text?: string }) {
  const isIn = session.value === "signedIn";
  const action = (
    <Button variant="primary" href={href(isIn ? "/" : "/sign-in")}>
      {isIn ? "Open the console" : "Sign in"}
    </Button>
  );
  return <EmptyState icon={CircleCheck} title={title} text={text} action={action} small />;
}

interface LinkPageProps {
  readonly title: string;
  readonly sub?: string;
  readonly children: (token: string) => ComponentChildren;
}

/** A page of a mailed link. A used token stays shown until the page changes. */
export function LinkPage({ title, sub, children }: LinkPageProps) {
  const token = linkToken.value;
  return (
    <StartFrame title={title} {...(sub !== undefined && { sub })}>
      {token === null ? <Incomplete /> : children(token)}
    </StartFrame>
  );
}

export function Incomplete() {
  return <Banner tone="warn">This link is not complete. Copy the whole link from the mail.</Banner>;
}
