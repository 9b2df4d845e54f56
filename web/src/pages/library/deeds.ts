/** What keys and the mouse do to media of the library; loaded when one of them is used. */
import { favour, trashAll, type Those } from '../../lib/bulk';
import { trash } from '../../lib/deeds';

export { carry } from '../../lib/drag';

export const toTrash = (those: Those) => ('media' in those && those.media.length === 1 ? trash(those.media) : trashAll(those));

/** Marks them, or takes the mark away where all have it. */
export const star = (those: Those) => favour(those, !('media' in those) || !those.media.every((one) => one.favourite));
