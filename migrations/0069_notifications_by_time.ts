/** Charts of all notifications count them by narrow indexes; those of projects have one. */
export const sql = /* sql */ `
create index notifications_unowned on notifications (createdAt) where projectId is null;
`;
