import type { Permission } from './types';

/** What a token may do, for people. */
export const scopes: Record<Permission, string> = {
  'library.read': 'See and download files',
  'library.write': 'Add, change and move files',
  'library.delete': 'Delete files',
  restore: 'Restore pictures',
  'buckets.manage': 'Manage buckets',
  'users.manage': 'Manage users',
  'jobs.manage': 'Manage jobs',
  'audit.read': 'Read the audit',
  'settings.manage': 'Change settings',
};

export const said = (names: Permission[]) => names.map((name) => scopes[name] ?? name).join('; ');
