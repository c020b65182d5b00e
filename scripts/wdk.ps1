<#
.SYNOPSIS
Finds and runs the tools of the Windows Driver Kit. The other scripts load this one.
#>

# The root of the driver kit: what the eWDK's prompt or the NuGet package says, or where the installer put it.
function Get-KitRoot {
    if ($env:WDKContentRoot) { return $env:WDKContentRoot }
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows Kits\Installed Roots'
    $root = (Get-ItemProperty -Path $key -Name KitsRoot10 -ErrorAction SilentlyContinue).KitsRoot10
    if (-not $root) { throw 'there is no Windows Driver Kit: winget install Microsoft.WindowsWDK.10.0.26100' }
    return $root
}

# The path of a tool: in the search path, or the newest that the driver kit has.
function Find-Tool {
    param([string] $Name)
    $found = Get-Command -Name $Name -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
    if ($found) { return $found.Source }
    $root = Get-KitRoot
    $folders = Get-ChildItem -Path "$root\bin", "$root\Tools" -Directory -ErrorAction SilentlyContinue |
        Where-Object { $_.Name -match '^10(\.\d+){3}$' } |
        Sort-Object -Property { [version] $_.Name } -Descending
    # Inf2Cat is there for x86 only, and runs everywhere.
    foreach ($folder in $folders) {
        foreach ($processor in 'x64', 'x86') {
            $file = Join-Path $folder.FullName "$processor\$Name"
            if (Test-Path -LiteralPath $file) { return $file }
        }
    }
    throw "the Windows Driver Kit in $root has no ${Name}: winget install Microsoft.WindowsWDK.10.0.26100"
}

# Runs a program, and fails if it does.
function Invoke-Tool {
    param([string] $Program, [string[]] $Arguments)
    Write-Host "> $Program $($Arguments -join ' ')"
    & $Program @Arguments | Out-Host
    if ($LASTEXITCODE -ne 0) { throw "$Program failed with exit code $LASTEXITCODE" }
}

# The version of Cargo.toml: 0.1.0.
function Get-ScreamVersion {
    $manifest = Get-Content -Raw -LiteralPath "$PSScriptRoot\..\Cargo.toml"
    if ($manifest -notmatch '(?m)^\[workspace\.package\]\s+version = "(\d+\.\d+\.\d+)"') {
        throw 'Cargo.toml has no version in [workspace.package]'
    }
    return $Matches[1]
}
