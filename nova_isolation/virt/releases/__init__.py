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
"""What differs between the supported releases of Nova, and nothing else.

Each module deals with one difference. It asks Nova for the feature and not
for the number of the release, because vendors backport features.

===================  ============  ==========================================
Module               Nova          What the older release lacks
===================  ============  ==========================================
flavor_metadata      31            extra specs in the metadata of a domain
guest_migrate        31, 32        parallel connections of a live migration
native_threads       31, 32, 33    native threads by default
start_up             31, 32, 33    the driver's method for the guests that
                                   nova-compute finds at its start
===================  ============  ==========================================

When a release is no longer supported, what is here for it can go.
"""
