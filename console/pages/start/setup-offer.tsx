import { useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { usePath } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Banner, Button } from "../../ui/index.ts";

const DISMISSED_KEY = "prism.setup.dismissed";

/** Leads administrators of a server without rules to its set-up. */
export function SetupOffer() {
  const [isDismissed, setDismissed] = useState(() => localStorage.getItem(DISMISSED_KEY) !== null);
  const isAsked = usePath() === "/" && !isDismissed && can("system:manage") && can("rules:write");
  const rules = useGet<{ readonly data: readonly unknown[] }>(isAsked ? "/rules" : null, { limit: 1 });
  if (!isAsked || rules.data?.data.length !== 0) return null;
  const dismiss = () => {
    localStorage.setItem(DISMISSED_KEY, "dismissed");
    setDismissed(true);
  };
  return (
    <div class="shell-banner">
      <Banner
        tone="info"
        title="Finish setting up"
        action={
          <Button small variant="primary" href={href("/setup")}>
            Continue
          </Button>
        }
        onDismiss={dismiss}
      >
        Set the public URL and mail, create a first rule, and let your phone ring.
      </Banner>
    </div>
  );
}
