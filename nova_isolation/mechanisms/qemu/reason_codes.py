# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""The reason codes of the mechanism qemu."""

from nova_isolation.model import reasons

UNKNOWN = reasons.Reason(
    'isolation.qemu.unknown',
    'The host could not examine its emulator.',
    'Look for the failed probe in the log of nova-compute.',
    uncertain=True,
)
NOT_HARDENED = reasons.Reason(
    'isolation.qemu.not_hardened',
    'The emulator was built without a hardening that the flavor asks for.',
    'Install an emulator that was built with this hardening.',
)
NO_SANDBOX = reasons.Reason(
    'isolation.qemu.no_sandbox',
    'QEMU does not run under its own seccomp filter on the host.',
    'Use a QEMU with seccomp and do not set seccomp_sandbox = 0 in '
    "libvirt's qemu.conf.",
)
PRESENT = reasons.Reason(
    'isolation.qemu.component_present',
    'The emulator contains a component that the flavor does not allow.',
    'Install an emulator that was built without the component.',
)
BINARY = reasons.Reason(
    'isolation.qemu.other_binary',
    'The started guest does not run the emulator that was measured.',
    'Check [libvirt] of nova.conf and the emulator path of libvirt. After an '
    'upgrade of QEMU the host measures the new emulator within a minute.',
)
MODULES = reasons.Reason(
    'isolation.qemu.other_modules',
    'The started guest looks for modules of its emulator in another folder '
    'than the one that was measured, so the components that it can load are '
    'not known.',
    'Undo mounts over the folder in the message that were made after libvirt '
    'or the guest was started, or stop and start the guest. Check [isolation] '
    'libvirt_root of the host.',
)
OTHER_ARCHITECTURE = reasons.Reason(
    'isolation.qemu.emulated_architecture',
    'The image asks for the emulator of another architecture, and hosts '
    'measure only the emulator of their own.',
    'Remove hw_emulation_architecture from the image, or use a flavor without '
    'isolation:qemu_hardening and isolation:qemu_absent.',
    public=True,
)
DEVICE_ABSENT = reasons.Reason(
    'isolation.qemu.device_absent',
    'The image or the flavor asks for a device of a component that the flavor '
    'wants to be absent, so no host can have both.',
    'Use an image without this property, for example with '
    'hw_video_model=vga, or a flavor that allows the component.',
    public=True,
)

#: All codes of this module.
ALL = reasons.defined_in(vars())
