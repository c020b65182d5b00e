<#
.SYNOPSIS
Builds scream.sys and screamctl.exe on Windows, with Microsoft's tools.
.DESCRIPTION
Needs rustup, the Visual Studio build tools with C++ for the processors, the Windows Driver Kit and LLVM. Names what is
missing. What it builds is in target\windows\x64 and target\windows\arm64; package.ps1 makes a package of it.
The driver alone: cargo build --release. What cargo wdk build makes is for one processor and in one folder, and it builds
the tools of this workspace too, which are for Linux.
.PARAMETER Architecture
The processors to build for: x64, arm64 or both.
.EXAMPLE
scripts\build.ps1 -Architecture x64
#>
[CmdletBinding()]
param(
    [ValidateSet('x64', 'arm64')]
    [string[]] $Architecture = @('x64', 'arm64')
)
$ErrorActionPreference = 'Stop'
trap { [Console]::Error.WriteLine("error: $_"); exit 1 }
. "$PSScriptRoot\wdk.ps1"

$root = Split-Path -Parent $PSScriptRoot
$targets = @{ x64 = 'x86_64-pc-windows-msvc'; arm64 = 'aarch64-pc-windows-msvc' }

foreach ($program in 'rustup', 'cargo') {
    if (-not (Get-Command $program -CommandType Application -ErrorAction SilentlyContinue)) {
        throw "there is no ${program}: install Rust from https://rustup.rs"
    }
}
if (-not (Get-ChildItem -Path "$(Get-KitRoot)\Include\*\km\wdm.h" -ErrorAction SilentlyContinue)) {
    throw 'there are no headers of the Windows Driver Kit: winget install Microsoft.WindowsWDK.10.0.26100'
}
$clang = @($env:LIBCLANG_PATH, "$env:ProgramFiles\LLVM\bin\libclang.dll") |
    Where-Object { $_ -and (Test-Path -LiteralPath $_) }
if (-not $clang) {
    throw 'there is no libclang, with which bindgen reads headers: winget install LLVM.LLVM, or set LIBCLANG_PATH'
}

Push-Location $root
try {
    # This lets rustup install the toolchain of rust-toolchain.toml.
    Invoke-Tool cargo @('--version')
    foreach ($one in $Architecture) {
        $target = $targets[$one]
        Invoke-Tool rustup @('target', 'add', $target)
        # One after the other: together they would share the features of their dependencies.
        foreach ($package in 'scream', 'screamctl') {
            Invoke-Tool cargo @('build', '--locked', '--release', '--target', $target, '--package', $package)
        }
        $built = "target\$target\release"
        $folder = "target\windows\$one"
        New-Item -ItemType Directory -Force -Path $folder | Out-Null
        Copy-Item -LiteralPath "$built\scream.dll" -Destination "$folder\scream.sys"
        Copy-Item -LiteralPath "$built\scream.pdb", "$built\screamctl.exe" -Destination $folder
        Write-Host "built $folder"
    }
} finally {
    Pop-Location
}
