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

"""Keylime, and a TPM for each compute host, as daemons of the lab.

Keylime's own registrar, verifier, tenant and agents, over mutual TLS, with
swtpm for the hardware. A measured launch is what the TPM is told at locality
4, as the chipset would tell it. What that leaves out: SINIT, tboot and Intel's
hardware, and the path of the measurement from there to the TPM.
"""
