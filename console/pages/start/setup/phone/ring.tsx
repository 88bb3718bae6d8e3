import { useState } from "preact/hooks";
import { Button } from "../../../../ui/index.ts";
import { COMMON_REMEDIES, WAYS, type Way } from "./ways.ts";

interface RingProps {
  readonly way: Way;
  readonly onYes: () => void;
  /** Leads back to the choice. */
  readonly onOther?: () => void;
}

/** Asks whether the phone rang; only its owner knows. */
export function Ring({ way, onYes, onOther }: RingProps) {
  const [isSilent, setSilent] = useState(false);
  const remedies = WAYS.find(({ value }) => value === way)?.remedies ?? [];
  return (
    <section class="setup-test setup-ring" aria-label="Did it ring?">
      <p class="strong">Did your phone ring?</p>
      <div class="setup-actions">
        <Button variant="primary" onClick={onYes}>
          It rang
        </Button>
        <Button onClick={() => setSilent(true)}>It did not ring</Button>
        {onOther && isSilent && (
          <Button variant="quiet" onClick={onOther}>
            Choose another way
          </Button>
        )}
      </div>
      <div role="status">
        {isSilent && (
          <>
            <p class="small">Look at these, then send the test again:</p>
            <ul class="stack s2 small setup-list">
              {[...remedies, ...COMMON_REMEDIES].map((text) => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          </>
        )}
      </div>
    </section>
  );
}
