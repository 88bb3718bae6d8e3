import { useEffect, useRef, useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { Button, Drawer, ErrorState, Skeleton } from "../../ui/index.ts";
import type { Story as StoryComponent, Subject } from "./story.tsx";

interface Props {
  /** null: closed. */
  readonly subject: Subject | null;
  readonly onClose: () => void;
}

/** The story beside a list. Its code is loaded when it is opened first. */
export function ExplainDrawer({ subject, onClose }: Props) {
  useBackCloses(subject !== null, onClose);
  if (!subject) return null;
  const path = `/explain/${subject.kind}/${encodeURIComponent(subject.id)}`;
  return (
    <Drawer
      open
      size="lg"
      onClose={onClose}
      title="Why did this happen?"
      subtitle="Step by step, and the answer at the end."
      footer={
        <>
          <Button href={href(path)}>Open as page</Button>
          <Button onClick={onClose}>Close</Button>
        </>
      }
    >
      <LazyStory key={path} subject={subject} />
    </Drawer>
  );
}

/** The back button closes what is open over the page, and does not leave the page. */
function useBackCloses(isOpen: boolean, onClose: () => void): void {
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    if (!isOpen) return;
    const entry = { overlay: Math.random() };
    const isOurs = () => (history.state as typeof entry | null)?.overlay === entry.overlay;
    history.pushState(entry, "");
    const onBack = () => {
      if (!isOurs()) close.current();
    };
    addEventListener("popstate", onBack);
    return () => {
      removeEventListener("popstate", onBack);
      // Closed in another way: the entry would need a second press of the button.
      if (isOurs()) history.back();
    };
  }, [isOpen]);
}

function LazyStory({ subject }: { readonly subject: Subject }) {
  const [user, setUser] = useState("");
  const [Story, setStory] = useState<{ component: typeof StoryComponent }>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    import("./story.tsx").then((module) => setStory({ component: module.Story }), setError);
  }, []);
  if (error !== undefined) return <ErrorState error={error} title="The story could not be loaded" />;
  if (!Story) return <Skeleton kind="text" count={6} />;
  return <Story.component subject={subject} user={user} onUser={setUser} />;
}
