import type { NotificationView, Page, PageInput } from "../../module/module-api.ts";
import type { InTransaction } from "../../store/database.ts";

/** Reading and marking what people were told, for code that is nobody's own. */
export interface InboxService {
  /** @throws USER_NOT_FOUND */
  history(userRef: string, page: PageInput): Promise<Page<NotificationView>>;
  /** @throws NOTIFICATION_NOT_FOUND */
  markRead(id: string, userRef: string, options?: InTransaction): Promise<void>;
}

/** The way from modules to the inbox, which the feature `notifications` owns: it says here how. */
export class InboxPort implements InboxService {
  #inbox: InboxService | null = null;

  provide(inbox: InboxService): void {
    this.#inbox = inbox;
  }

  async history(userRef: string, page: PageInput): Promise<Page<NotificationView>> {
    return this.#required().history(userRef, page);
  }

  async markRead(id: string, userRef: string, options?: InTransaction): Promise<void> {
    return this.#required().markRead(id, userRef, options);
  }

  #required(): InboxService {
    if (!this.#inbox) throw new TypeError("the feature notifications has not been registered");
    return this.#inbox;
  }
}
