/** Commands that start a role: controller, sts, gateway. */
import type { Command } from 'commander';
import type { Session } from './program.ts';

export function addRoleCommands(_program: Command, _session: Session): void {}
