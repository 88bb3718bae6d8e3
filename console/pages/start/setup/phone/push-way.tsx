import { BellRing } from "lucide";
import { useState } from "preact/hooks";
import { SERVER_URL } from "../../../../app/base.ts";
import { pushId } from "../../../../app/worker.ts";
import { Banner, Button, Link } from "../../../../ui/index.ts";
import { pushObstacle, subscribeToPush, testPush } from "../../../account/push.ts";
import { Ring } from "./ring.tsx";

/** Push of the browser that shows this page. */
export function PushWay({ onRung }: { readonly onRung: () => void }) {
  const [isAccepted, setAccepted] = useState(false);
  const problem = pushObstacle();
  const test = async () => {
    setAccepted(false);
    if (pushId.value === null) await subscribeToPush();
    await testPush(pushId.value ?? "");
    setAccepted(true);
  };
  return (
    <div class="stack">
      {problem && pushId.value === null ? (
        <Banner tone="info" title="This browser cannot receive push here">
          {problem}{" "}
          <Link href={`${SERVER_URL}/docs/push#at-home-without-a-domain`} external>
            A certificate of your own
          </Link>
        </Banner>
      ) : (
        <div class="setup-actions">
          <Button variant={isAccepted ? "default" : "primary"} icon={BellRing} onClick={test}>
            {pushId.value === null ? "Turn on and send a test" : "Send a test"}
          </Button>
        </div>
      )}
      <div role="status">{isAccepted && <Banner tone="ok" title="The push service has accepted the message" />}</div>
      {isAccepted && <Ring way="push" onYes={onRung} />}
    </div>
  );
}
